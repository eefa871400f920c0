"""What the ledger tells its host, to be counted. Nothing depends on whether it is.

A function that is made again after a crash tells it again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class FinalityEnded:
    """A finality ended at one of its parties.

    Attributes:
        outcome: `final`; `refused` by a party or a contract; `rejected` by the notary.
        seconds: since this node stored the transaction.
    """

    side: Literal["initiator", "receiver"]
    outcome: Literal["final", "refused", "rejected"]
    seconds: float


@dataclass(frozen=True, slots=True)
class ChainBegun:
    """A backchain is resolved that this node does not have, or has not verified."""


@dataclass(frozen=True, slots=True)
class ChainVerified:
    """Transactions of a backchain were verified."""

    count: int


@dataclass(frozen=True, slots=True)
class StillUnverified:
    """A repair begins. `seconds`: since this node stored the transaction."""

    seconds: float


@dataclass(frozen=True, slots=True)
class RepairGivenUp:
    """Nobody could tell what came of a transaction."""


@dataclass(frozen=True, slots=True)
class Notarised:
    """A notary of this host answered. `result`: `accepted`, or the kind of the refusal."""

    result: str


@dataclass(frozen=True, slots=True)
class BatchDecided:
    """Requests that shared a commit of the uniqueness service."""

    count: int


@dataclass(frozen=True, slots=True)
class TokensClaimed:
    """A claim was decided. `seconds`: with the wait for other writers of the vault."""

    result: Literal["claimed", "not-enough"]
    seconds: float


@dataclass(frozen=True, slots=True)
class VaultFunctionFailed:
    """A function of a contract package failed; the defaults were kept."""


@dataclass(frozen=True, slots=True)
class VerificationDiffers:
    """A counterparty's contract run differs from this node's: in its outcome, or its fuel only."""

    of: Literal["outcome", "run"]


LedgerEvent: TypeAlias = (
    FinalityEnded
    | ChainBegun
    | ChainVerified
    | StillUnverified
    | RepairGivenUp
    | Notarised
    | BatchDecided
    | TokensClaimed
    | VaultFunctionFailed
    | VerificationDiffers
)
LedgerEvents: TypeAlias = Callable[[LedgerEvent], None]


def untold(event: LedgerEvent) -> None:
    """Nobody counts."""
