"""The room that a step finds in its node's accounts, asked for before bytes are made.

A step knows what its node held when it began, or when it wrote last, and adds what it has made
since. Steps that run at the same time do not see each other's: each of them may pass a limit by
what one step makes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from host.domain.accounts import NOTHING, Account, Balance, Charge, QuotaExceededError
from host.domain.ids import ShortHash
from host.domain.quotas import Quota
from host.ports.accounts import Accounts
from host.ports.state import StateRecord

EVICTED_MAX = 100
"""Things that one step deletes to make room for one that it keeps."""
_LOOK_FIRST = 2


@dataclass(slots=True, kw_only=True)
class Room:
    """Mutable, of one run of a flow of `node`."""

    accounts: Accounts
    node: ShortHash
    quota: Quota
    _held: Mapping[Account, Balance] | None = None

    def check(self, account: Account, *, pending: int, more: int) -> None:
        """Refuse bytes for which there is no room.

        Args:
            account: which.
            pending: bytes that the step has made and not written yet.
            more: bytes that it wants to make.

        Raises:
            QuotaExceededError: the account has no room for them.
            StorageError: the store cannot be read.
        """
        most = self.quota.account_max(account)
        if self._held is None:  # all in one look: most steps ask for several
            self._held = self.accounts.balances(self.node)
        held = self._held.get(account, NOTHING).bytes + pending
        if most is not None and held + more > most:
            raise QuotaExceededError.of(self.node, account, held=held, more=more, most=most)

    def forget(self) -> None:
        """Look again: the step has written what it had made."""
        self._held = None


def evicted(
    accounts: Accounts,
    charge: Charge,
    *,
    more: int,
    bytes_max: int,
    rows_max: int | None = None,
    size_of: Callable[[StateRecord], int] = lambda r: len(r.key.encode()) + len(r.value),
) -> tuple[StateRecord, ...]:
    """What must go so that `more` bytes of one more thing fit an account, oldest first.

    It is taken from whoever has caused most of the account, so that no peer can have a node forget
    what others have caused.

    Args:
        accounts: of the store.
        charge: of what comes.
        more: its bytes.
        bytes_max: of the account.
        rows_max: things in the account, if that is bounded.
        size_of: what goes with a thing.
    """
    held = accounts.balance(charge.node, charge.account)
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
    """The oldest things of a part of an account, few at first: each may be megabytes to read."""
    limit, seen = min(_LOOK_FIRST, most), 0
    while limit > seen:
        found = accounts.oldest(source, limit)
        yield from found[seen:]
        if len(found) < limit:
            return
        seen, limit = limit, min(4 * limit, most)
