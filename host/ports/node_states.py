"""Unconsumed states of a virtual node whose CPI is to be changed: judged by other contracts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from host.domain.ids import ShortHash
from host.domain.packages import CpiRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class StatesJudged:
    """The unconsumed states of one type.

    Attributes:
        type: class name of the states.
        states: how many there are.
        judged: transactions that made them and were judged, by the contracts of the other CPI.
        refused: those of them that its contracts refuse, or which it has no contract for.
        reason: of the first refusal.
    """

    type: str
    states: int
    judged: int
    refused: int
    reason: str | None = None


class NodeStates(Protocol):
    """The unconsumed states of virtual nodes. Thread-safe."""

    def rehearse(self, node: ShortHash, cpi: CpiRecord) -> Sequence[StatesJudged]:
        """Run the contracts of `cpi` on the transactions that made a node's unconsumed states.

        Of each type, a bounded number of transactions is judged, the latest first.

        Raises:
            UnavailableError: a contract's run was lost.
            StorageError: the vault, or the code, cannot be read.
        """
        ...
