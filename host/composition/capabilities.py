"""The services that flows may call: the host's own, and those of plugins."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain

from host import ledger, membership, persistence
from host.composition.base import Base
from host.composition.nodes import Nodes
from host.composition.storage import Storage
from host.domain.errors import HostError
from host.ports.capability import Capability
from host.ports.directory import ContractVerifier


class CapabilityTwiceError(HostError):
    """Two plugins give a capability of the same name."""

    code = "capability-twice"


def make_capabilities(
    base: Base, storage: Storage, nodes: Nodes, contracts: ContractVerifier
) -> Sequence[Capability]:
    """One capability for each interface that is not the flow engine's own.

    Raises:
        CapabilityTwiceError: two have one name.
    """
    plugged = base.plugins.hook.register_capabilities(settings=base.settings, keys=storage.keys)
    capabilities: list[Capability] = [
        membership.MembershipCapability(nodes.members),
        persistence.EntityCapability(storage.vaults),
        ledger.LedgerCapability(
            vaults=storage.vaults,
            keys=storage.keys,
            public_keys=storage.public_keys,
            members=nodes.members,
            contracts=contracts,
        ),
        *chain.from_iterable(plugged),
    ]
    names = Counter(capability.name for capability in capabilities)
    name, count = names.most_common(1)[0]
    if count > 1:
        raise CapabilityTwiceError(f"capability {name!r} is given {count} times")
    return capabilities
