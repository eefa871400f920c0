"""Statuses of a transaction in a vault, and which follow each other.

| from | to | by |
|---|---|---|
| none | D | a draft is stored |
| none, D | U | it is examined or received |
| none, D, U | V | it is final: verified, and signed by its notary where the group has one |
| none, D, U | I | it broke a rule, or was refused |
| I | V | the notary's word, where another's word made it invalid |

V is never left, and an id that broke a rule (`structure`, `contract`) stays I for ever, since the
id commits to what was judged. A party's or notary's refusal does not: who holds all signatures
could have had it notarised, and the notary's signature always wins.
Letters: Corda's (corda-api `TransactionStatus.java`, column `utxo_transaction.status`).
"""

from enum import StrEnum


class Status(StrEnum):
    DRAFT = "D"
    UNVERIFIED = "U"
    VERIFIED = "V"
    INVALID = "I"


class Reason(StrEnum):
    """Why a transaction is invalid."""

    STRUCTURE = "structure"
    CONTRACT = "contract"
    REFUSED = "refused"
    NOTARY = "notary"


REVOCABLE = frozenset({Reason.REFUSED, Reason.NOTARY})
"""Reasons that the transaction's id does not commit to."""


def is_decided(status: Status, reason: Reason | None) -> bool:
    """Whether nothing is left to ask a notary.

    A notary's refusal is the last word, a counterparty's is not.
    """
    return status is Status.VERIFIED or reason not in {None, Reason.REFUSED}


_FOLLOWING = {
    None: frozenset(Status),
    Status.DRAFT: frozenset(Status),
    Status.UNVERIFIED: frozenset({Status.UNVERIFIED, Status.VERIFIED, Status.INVALID}),
    Status.VERIFIED: frozenset({Status.VERIFIED}),
    Status.INVALID: frozenset({Status.INVALID}),
}


def may_become(current: Status | None, reason: Reason | None, following: Status) -> bool:
    """Whether a transaction may change its status; to keep it is always allowed.

    Args:
        current: the stored status; None if the vault does not know the transaction.
        reason: why it is invalid; None for every other status.
        following: the status to be stored. `VERIFIED` is for callers that hold a valid signature
            of the notary, or are in a group without one.
    """
    if current is Status.INVALID and following is Status.VERIFIED:
        return reason in REVOCABLE
    return following in _FOLLOWING[current]
