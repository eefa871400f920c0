"""Contracts of another CPI, run on the transactions that made a node's unconsumed states."""

from collections.abc import Sequence

from host.domain.ids import ShortHash
from host.domain.packages import CpiRecord, contracts_of
from host.ledger.recorded import RecordedTransactions
from host.ledger.vault import outputs
from host.ports.directory import ContractVerifier
from host.ports.node_states import StatesJudged
from host.ports.vaults import VaultAccess

JUDGED_MAX = 100
"""Transactions of one type of states that are judged."""


class StateRehearsals:
    """`host.ports.node_states.NodeStates` over the vaults. Thread-safe."""

    def __init__(self, vaults: VaultAccess, contracts: ContractVerifier) -> None:
        self._vaults = vaults
        self._recorded = RecordedTransactions(vaults)
        self._contracts = contracts

    def rehearse(self, node: ShortHash, cpi: CpiRecord) -> Sequence[StatesJudged]:
        if not self._vaults.is_made(node):
            return ()
        with self._vaults.read(node) as connection:
            counts = outputs.unconsumed_counts(connection)
            makers = {
                state_type: outputs.makers(connection, state_type, limit=JUDGED_MAX)
                for state_type in counts
            }
        return [
            self._judged(node, cpi, state_type, count, makers[state_type])
            for state_type, count in sorted(counts.items())
        ]

    def _judged(
        self, node: ShortHash, cpi: CpiRecord, state_type: str, count: int, ids: Sequence[str]
    ) -> StatesJudged:
        refused, reason = 0, None
        for transaction_id in ids:
            resolved = self._recorded.find(node, transaction_id).resolved
            judged = self._contracts.verify(contracts_of(cpi), resolved.to_json(), node=node)
            if judged.failures:
                refused += 1
                reason = reason or str(judged.failures[0].get("message"))
        return StatesJudged(
            type=state_type, states=count, judged=len(ids), refused=refused, reason=reason
        )
