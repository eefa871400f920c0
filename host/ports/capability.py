"""Platform services as flows reach them: one capability per WIT interface of the workflow world.

The flow engine journals every answer. A capability is called again after a crash between its
effect and the journal's commit, with the same `request_id`: effects must be idempotent by it.
"""

from dataclasses import dataclass
from typing import Protocol

from host.domain.ids import EpochMs, FlowId, HoldingIdentity
from host.domain.json import JsonObject, JsonValue
from host.domain.packages import CpiRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """Who calls. `request_id` is `<flow id>-<call number>`, the same at every replay.

    `now` is the host's time at the call's first execution in this run.
    """

    holding: HoldingIdentity
    cpi: CpiRecord
    flow_id: FlowId
    request_id: str
    now: EpochMs


class Capability(Protocol):
    """One interface of the workflow world, for example `persistence`."""

    @property
    def name(self) -> str:
        """The WIT interface's name."""
        ...

    def call(self, context: CallContext, function: str, request: JsonObject) -> JsonValue:
        """Perform `function` (a WIT function name of the interface).

        Raises:
            CapabilityError: goes to the guest as the call's error, and into the journal.
        """
        ...
