"""The account of bytes that each virtual node has: by name, what it holds of the host. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from host.domain.errors import HostError
from host.domain.ids import ShortHash


class Account(StrEnum):
    """What a node's bytes are, one account each."""

    BUS = "bus"
    """Records on their way and unread, unread payloads, records set aside, external messages."""
    STATUS = "status"
    """Statuses of flows, with results and errors."""
    JOURNAL = "journal"
    """Checkpoints, journals and request bodies of flows that have not ended."""
    HISTORY = "history"
    """Histories of ended flows, with their journals."""
    AUDIT = "audit"
    LOG = "log"
    VAULT = "vault"
    PARKED = "parked"
    """Memory of suspended guests that are kept for their next step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """Whose account something counts to.

    `peer` is the node that caused it, where that is another one or might be: of a responder its
    initiator, of an unread message its sender.
    """

    node: ShortHash
    account: Account
    peer: ShortHash | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What an account holds: bytes, how many things, and how many of these have no due time."""

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
    """An account that is not the sum of what counts to it. Without a peer: the node's whole."""

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
        """The refusal of `more` bytes beside `held` ones, where `most` are allowed."""
        return QuotaExceededError(
            f"account {account} of virtual node {node} would hold {held + more} bytes,"
            f" at most {most} are allowed",
            account=account.value,
        )


def hit_of(account: str) -> str:
    """How a refusal of this account is counted among a node's hits."""
    return f"{QuotaExceededError.code}:{account}"
