"""Byte accounts of virtual nodes: how much storage and memory of the host each uses. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from host.domain.errors import HostError
from host.domain.ids import ShortHash


class Account(StrEnum):
    """The kinds of a node's bytes, one account each."""

    BUS = "bus"
    """Records in transit or unread, unread payloads, records set aside, external messages."""
    STATUS = "status"
    """Statuses of flows, with results and errors."""
    JOURNAL = "journal"
    """Checkpoints, journals and request bodies of flows that have not ended."""
    HISTORY = "history"
    """Histories of ended flows, with their journals."""
    AUDIT = "audit"
    LOG = "log"
    VAULT = "vault"
    UNIQUENESS = "uniqueness"
    """What a notary keeps of transactions and spent states."""
    PARKED = "parked"
    """Memory of suspended guests that are kept for their next step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """The account to which something is charged.

    `peer` is the node that caused it, if that is or may be another one: the initiator of a
    responder, the sender of an unread message.
    """

    node: ShortHash
    account: Account
    peer: ShortHash | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """The content of an account: bytes, items, and how many of the items have no due time."""

    bytes: int = 0
    rows: int = 0
    lasting: int = 0

    def __add__(self, other: "Balance") -> "Balance":
        return Balance(
            bytes=self.bytes + other.bytes,
            rows=self.rows + other.rows,
            lasting=self.lasting + other.lasting,
        )

    def __sub__(self, other: "Balance") -> "Balance":
        return self + Balance(bytes=-other.bytes, rows=-other.rows, lasting=-other.lasting)


NOTHING = Balance()


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """An account that differs from the sum of its items. Without a peer: the node's total."""

    node: ShortHash
    account: Account
    peer: ShortHash | None
    kept: Balance
    counted: Balance


class QuotaExceededError(HostError):
    """An account of the virtual node has no room; `account` in the details names it."""

    code = "quota-exceeded"

    @staticmethod
    def of(
        node: ShortHash, account: Account, *, held: int, more: int, most: int
    ) -> "QuotaExceededError":
        """The refusal of `more` bytes in addition to `held`, where at most `most` are allowed."""
        return QuotaExceededError(
            f"account {account} of virtual node {node} would hold {held + more} bytes,"
            f" at most {most} are allowed",
            account=account.value,
        )


def hit_of(account: str) -> str:
    """The name under which a refusal of this account is counted in a node's hits."""
    return f"{QuotaExceededError.code}:{account}"
