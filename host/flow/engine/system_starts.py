"""Starts system flows on a client's request, ahead of their time."""

from host.domain.accounts import Account, QuotaExceededError, hit_of
from host.domain.errors import NotAllowedError
from host.domain.vnode import OperationalStatus, VirtualNode
from host.flow.core.messages import Party
from host.flow.core.remembered import begun, later_key
from host.flow.core.room import NodeBalances, Room
from host.flow.engine.flow_ids import new_flow_id
from host.flow.engine.startable import check_not_paused
from host.ports.clock import Clock, Entropy
from host.ports.programs import Remember
from host.ports.quotas import Quotas
from host.ports.state import StateConflictError
from host.ports.units import StateStore, Unit

_ATTEMPTS = 3


class SystemStarts:
    """Starts flows that are remembered, or could be. Thread-safe."""

    def __init__(
        self, *, units: StateStore, clock: Clock, entropy: Entropy, quotas: Quotas
    ) -> None:
        self._store = units
        self._clock = clock
        self._entropy = entropy
        self._quotas = quotas

    def start(self, vnode: VirtualNode, wanted: Remember) -> None:
        """Start a system flow now, and again each `again_ms` until it is forgotten.

        When this returns, the start is durable. What was remembered with the key is replaced.

        Raises:
            NodePausedError, NotAllowedError: the node is paused, or runs no flows.
            CapabilityError: `request-invalid`: the key.
            QuotaExceededError: the node has no room on the bus.
            StateConflictError: a flow has remembered or forgotten it at the same time, repeatedly.
            StorageError: the store cannot be written.
        """
        node = vnode.holding.short_hash
        check_not_paused(vnode)
        if vnode.flow_status is OperationalStatus.INACTIVE:
            raise NotAllowedError(
                f"Flow operational capabilities of virtual node {node} are not operational."
            )
        for left in reversed(range(_ATTEMPTS)):
            try:
                self._commit(vnode, wanted)
            except StateConflictError:
                if not left:
                    raise
            else:
                return

    def _commit(self, vnode: VirtualNode, wanted: Remember) -> None:
        node = vnode.holding.short_hash
        start = begun(
            wanted,
            Party.of(vnode.holding),
            before=self._store.get(later_key(node, wanted.key)),
            now=self._clock.now_ms(),
            request_id=f"{wanted.flow}-{new_flow_id(self._entropy)}",
        )
        room = Room(
            balances=NodeBalances(self._store, node),
            node=node,
            quota=self._quotas.quota(node),
        )
        try:
            room.check(Account.BUS, pending=0, more=start.record.size)
        except QuotaExceededError as exc:
            self._quotas.hit(node, hit_of(exc.details["account"]))
            raise
        self._store.commit(Unit(states=(start.state,), records=(start.record,)))
