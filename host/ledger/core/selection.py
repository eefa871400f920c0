"""Which tokens a claim takes. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from host.ledger.core.amounts import total_of
from host.ledger.core.model import StateRef

TOKENS_MAX = 1000


class ClaimTooLargeError(Exception):
    """The amount needs more tokens than a claim may take, though there may be enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An unconsumed token that no flow has claimed; `seq` is its output's number."""

    seq: int
    ref: StateRef
    amount: Decimal
    tag: str | None = None
    owner_hash: str | None = None
    priority: int | None = None


def select_tokens(candidates: Iterable[Candidate], target: Decimal) -> Sequence[Candidate] | None:
    """The first candidates whose sum reaches the target; None if all together do not.

    Raises:
        ClaimTooLargeError: `TOKENS_MAX` of them do not reach it, and there are more.
    """
    taken: list[Candidate] = []
    reached = Decimal(0)
    for candidate in candidates:
        if len(taken) == TOKENS_MAX:
            raise ClaimTooLargeError
        taken.append(candidate)
        reached = total_of((reached, candidate.amount))
        if reached >= target:
            return taken
    return None
