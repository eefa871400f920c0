"""The free space in a node's accounts, checked by a step before it produces data.

A step reads the balances of its node once, and adds its own bytes: the unwritten ones, and what it
has written since. It reads them again before it refuses anything, and after 64 KiB. Concurrent
steps do not see each other's bytes meanwhile: each may exceed a limit by the output of one step.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from host.domain.accounts import NOTHING, Account, Balance, Charge, QuotaExceededError
from host.domain.ids import ShortHash
from host.domain.quotas import Quota
from host.ports.accounts import Accounts
from host.ports.state import StateRecord

EVICTED_MAX = 100
"""Maximum items that one step deletes to make room for a new one."""
_LOOK_FIRST = 2


REREAD_BYTES = 64 * 1024
"""Bytes that a step may write before it reads the balances of its node again."""


class NodeBalances:
    """The balances of one node's accounts, for one step. Mutable."""

    def __init__(self, accounts: Accounts, node: ShortHash) -> None:
        self._accounts = accounts
        self._node = node
        self._held: Mapping[Account, Balance] | None = None
        self._written = 0

    def wrote(self, size: int) -> None:
        """The step has committed about `size` bytes, in any of the accounts."""
        self._written += size
        if self._written > REREAD_BYTES:
            self.forget()

    def forget(self) -> None:
        """Read the balances again on next use."""
        self._held, self._written = None, 0

    def at_most(self, account: Account) -> int:
        """Bytes in an account, with all that the step has written since they were read.

        Raises:
            StorageError: the store cannot be read.
        """
        return self._read().get(account, NOTHING).bytes + self._written

    def exact(self, account: Account) -> Balance:
        """The balance of an account, read after the step's last write; raises as `at_most`."""
        if self._written:
            self.forget()
        return self._read().get(account, NOTHING)

    def _read(self) -> Mapping[Account, Balance]:
        if self._held is None:  # all in one query: most steps need several
            self._held = self._accounts.balances(self._node)
        return self._held


@dataclass(slots=True, kw_only=True)
class Room:
    """Of one run of a flow of `node`."""

    balances: NodeBalances
    node: ShortHash
    quota: Quota

    def check(self, account: Account, *, pending: int, more: int) -> None:
        """Refuse bytes that exceed the account's limit.

        Args:
            account: the account.
            pending: bytes that the step has produced but not written yet.
            more: bytes that it is going to produce.

        Raises:
            QuotaExceededError: the account has no room for them.
            StorageError: the store cannot be read.
        """
        most = self.quota.account_max(account)
        if most is None or self.balances.at_most(account) + pending + more <= most:
            return
        held = self.balances.exact(account).bytes + pending
        if held + more > most:
            raise QuotaExceededError.of(self.node, account, held=held, more=more, most=most)


def evicted(
    accounts: Accounts,
    charge: Charge,
    *,
    balances: NodeBalances,
    more: int,
    bytes_max: int,
    rows_max: int | None = None,
    size_of: Callable[[StateRecord], int] = lambda r: len(r.key.encode()) + len(r.value),
) -> tuple[StateRecord, ...]:
    """Items to delete so that a new item of `more` bytes fits an account, oldest first.

    Items are taken from the peer that has caused most of the account, so that no peer can evict the
    items of others.

    Args:
        accounts: of the store.
        charge: the charge of the new item.
        balances: of the charge's node.
        more: its bytes.
        bytes_max: of the account.
        rows_max: maximum items in the account, if bounded.
        size_of: bytes that are deleted with an item.
    """
    held = balances.exact(charge.account)
    size, rows = held.bytes + more - bytes_max, held.rows + 1 - (rows_max or held.rows + 1)
    if size <= 0 and rows <= 0:
        return ()
    shares = accounts.shares(charge.node, charge.account)
    own = held
    for share in shares.values():
        own -= share
    parts = [(own, None), *((share, peer) for peer, share in shares.items())]
    parts.sort(key=lambda part: part[0].bytes if size > 0 else part[0].rows, reverse=True)
    gone: list[StateRecord] = []
    for _, peer in parts:
        source = Charge(node=charge.node, account=charge.account, peer=peer)
        for record in _oldest(accounts, source, EVICTED_MAX - len(gone)):
            if size <= 0 and rows <= 0:
                return tuple(gone)
            gone.append(record)
            size -= size_of(record)
            rows -= 1
        if len(gone) >= EVICTED_MAX:
            break
    return tuple(gone)


def _oldest(accounts: Accounts, source: Charge, most: int) -> Iterator[StateRecord]:
    """The oldest items of a part of an account, in growing batches: each may have megabytes."""
    limit, seen = min(_LOOK_FIRST, most), 0
    while limit > seen:
        found = accounts.oldest(source, limit)
        yield from found[seen:]
        if len(found) < limit:
            return
        seen, limit = limit, min(4 * limit, most)
