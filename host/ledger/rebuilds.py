"""Rebuilds of vaults on request, and how far they have come."""

from collections.abc import Sequence

from host.domain.errors import NotFoundError
from host.domain.ids import ShortHash
from host.domain.vnode import VirtualNode
from host.flow.engine.flow_ids import new_flow_id
from host.flow.engine.system_starts import SystemStarts
from host.ledger.protocols.vault_rebuild import RebuildRequest, rebuild_of
from host.ledger.recorded import RecordedTransactions
from host.ledger.vault import rebuilds
from host.ledger.vault.rebuilds import Rebuilding
from host.ports.clock import Clock, Entropy
from host.ports.vaults import VaultAccess


class VaultRebuilds:
    """Has vaults rebuilt. Thread-safe."""

    def __init__(
        self, *, vaults: VaultAccess, starts: SystemStarts, clock: Clock, entropy: Entropy
    ) -> None:
        self._vaults = vaults
        self._recorded = RecordedTransactions(vaults)
        self._clock = clock
        self._starts = starts
        self._entropy = entropy

    def start(self, vnode: VirtualNode) -> str | None:
        """Run the vault functions again for all that the node has verified; may be repeated.

        When this returns, the start is durable. The functions are those of the node's CPI when a
        part is rebuilt; transactions that become verified meanwhile need no rebuild.

        Returns:
            What names the rebuild; None: nothing is verified.

        Raises:
            NotAllowedError, QuotaExceededError, StateConflictError: see `SystemStarts.start`.
            StorageError: the vault or the store cannot be used.
        """
        node = vnode.holding.short_hash
        newest = self._recorded.newest(node, 1, None)
        if not newest:
            return None
        ((until, _),) = newest
        rebuild = new_flow_id(self._entropy)
        now = self._clock.now_ms()
        self._vaults.transact(node, lambda c: rebuilds.begin(c, rebuild, until=until, now=now))
        wanted = rebuild_of(RebuildRequest(rebuild=rebuild, after=0, until=until))
        try:
            self._starts.start(vnode, wanted)
        except BaseException:
            self._vaults.transact(node, lambda c: rebuilds.forget(c, rebuild))
            raise
        return rebuild

    def newest(self, node: ShortHash) -> Sequence[Rebuilding]:
        """The last rebuilds of a node's vault, the latest first, at most `rebuilds.KEPT_MAX`.

        Raises:
            StorageError: the vault cannot be read.
        """
        if not self._vaults.is_made(node):
            return ()
        with self._vaults.read(node) as connection:
            return rebuilds.newest(connection)

    def find(self, node: ShortHash, rebuild: str) -> Rebuilding:
        """A rebuild of a node's vault.

        Raises:
            NotFoundError: there is none of this identifier, or it is not remembered any more.
            StorageError: the vault cannot be read.
        """
        found = None
        if self._vaults.is_made(node):
            with self._vaults.read(node) as connection:
                found = rebuilds.find(connection, rebuild)
        if found is None:
            raise NotFoundError(
                f"Virtual node {node} has no rebuild {rebuild} of its vault.",
                kind="vault rebuild",
                named=rebuild,
            )
        return found
