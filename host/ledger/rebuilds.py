"""Rebuilds of vaults on request."""

from host.domain.vnode import VirtualNode
from host.flow.engine.flow_ids import new_flow_id
from host.flow.engine.system_starts import SystemStarts
from host.ledger.protocols.vault_rebuild import RebuildRequest, rebuild_of
from host.ledger.recorded import RecordedTransactions
from host.ports.clock import Entropy


class VaultRebuilds:
    """Has vaults rebuilt. Thread-safe."""

    def __init__(
        self, recorded: RecordedTransactions, starts: SystemStarts, entropy: Entropy
    ) -> None:
        self._recorded = recorded
        self._starts = starts
        self._entropy = entropy

    def start(self, vnode: VirtualNode) -> str | None:
        """Run the vault functions again for all that the node has verified; may be repeated.

        When this returns, the start is durable. The functions are those of the node's CPI when a
        part is rebuilt; transactions that become verified meanwhile need no rebuild.

        Returns:
            What names the rebuild in the log and in results; None: nothing is verified.

        Raises:
            NotAllowedError, QuotaExceededError, StateConflictError: see `SystemStarts.start`.
            StorageError: the vault or the store cannot be used.
        """
        newest = self._recorded.newest(vnode.holding.short_hash, 1, None)
        if not newest:
            return None
        ((until, _),) = newest
        rebuild = new_flow_id(self._entropy)
        wanted = rebuild_of(RebuildRequest(rebuild=rebuild, after=0, until=until))
        self._starts.start(vnode, wanted)
        return rebuild
