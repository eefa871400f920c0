"""The parts of one process, each opened at its first use.

Parts are closed in the opposite order, so that none outlives what it needs. A service whose kind
has worker processes of its own is called there; others run in this process.
"""

from collections.abc import Sequence
from functools import cached_property

from host.network import membership
from host.ports.capability import Capability
from host.ports.tracing import Tracer
from host.runtime.wiring.capabilities import make_capabilities
from host.runtime.wiring.ledger_parts import LedgerParts
from host.runtime.wiring.location_parts import LocationParts


class Wiring(LocationParts, LedgerParts):
    """The parts of a process. Used only by the thread that starts the process."""

    @cached_property
    def tracer(self) -> Tracer | None:
        """What takes spans of requests and steps; None without a plugin for them."""
        found: Tracer | None = self.base.plugins.hook.register_tracer(
            settings=self.base.settings, config=self.config
        )
        if found is not None:
            self.base.stack.callback(found.close)
        return found

    @cached_property
    def capabilities(self) -> Sequence[Capability]:
        """The services that flows may call.

        Raises:
            CapabilityTwiceError: two capabilities have the same name.
        """
        own = (membership.MembershipCapability(self.members), self.entities, self.ledger)
        return make_capabilities(self.base, self.config, own, self.keys)
