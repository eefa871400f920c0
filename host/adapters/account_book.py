"""Byte accounts in memory: the same sums as in the durable store."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeAlias

from host.domain.accounts import NOTHING, Account, Balance, Charge, Discrepancy
from host.domain.ids import ShortHash

Key: TypeAlias = tuple[ShortHash, Account, ShortHash | None]


def size_of(key: str, value: bytes) -> Balance:
    """The charged bytes of a record or a state."""
    return Balance(bytes=len(key.encode()) + len(value), rows=1)


class AccountBook:
    """Charges by place, and their sums by account."""

    def __init__(self) -> None:
        self._held: dict[Hashable, tuple[Charge, Balance]] = {}
        self._sums: dict[Key, Balance] = {}

    def put(self, place: Hashable, charge: Charge | None, size: Balance) -> None:
        """Charge the item at `place`; by default to the account of the replaced item."""
        before = self.drop(place)
        charge = charge or before
        if charge is not None:
            self._held[place] = (charge, size)
            self._add(charge, size)

    def grow(
        self, place: Hashable, charge: Charge | None, more: Balance, whole: Callable[[], Balance]
    ) -> None:
        """Charge more bytes at a place; if nothing was charged before, charge `whole`."""
        if place in self._held:
            before, size = self._held[place]
            self.put(place, before, size + more)
        elif charge is not None:
            self.put(place, charge, whole())

    def pass_on(self, place: Hashable, charge: Charge) -> None:
        """Transfer the item at `place` to another account."""
        if place in self._held:
            self.put(place, charge, self._held[place][1])

    def drop(self, place: Hashable) -> Charge | None:
        """Remove the item at `place` from its account; returns its charge."""
        charge, size = self._held.pop(place, (None, NOTHING))
        if charge is not None:
            self._add(charge, NOTHING - size)
        return charge

    def charge_of(self, place: Hashable) -> Charge | None:
        return self._held.get(place, (None,))[0]

    def share(self, charge: Charge) -> Balance:
        return self._sums.get((charge.node, charge.account, charge.peer), NOTHING)

    def balances(self, node: ShortHash) -> Mapping[Account, Balance]:
        sums = self._sums.items()
        return {name: b for (owner, name, peer), b in sums if owner == node and peer is None}

    def shares(self, node: ShortHash, account: Account) -> Mapping[ShortHash, Balance]:
        sums = self._sums.items()
        return {
            peer: b
            for (owner, name, peer), b in sums
            if owner == node and name is account and peer is not None
        }

    def total(self, account: Account) -> Balance:
        sums = self._sums.items()
        found = (b for (_, name, peer), b in sums if name is account and peer is None)
        return sum(found, start=NOTHING)

    def recount(self, *, repair: bool) -> Sequence[Discrepancy]:
        """Accounts whose sums differ from those of their items."""
        kept = self._sums
        counted = AccountBook()
        for place, (charge, size) in self._held.items():
            counted.put(place, charge, size)
        sums = counted._sums
        if repair:
            self._sums = sums
        return [
            Discrepancy(
                node=key[0],
                account=key[1],
                peer=key[2],
                kept=kept.get(key, NOTHING),
                counted=sums.get(key, NOTHING),
            )
            for key in kept.keys() | sums.keys()
            if kept.get(key, NOTHING) != sums.get(key, NOTHING)
        ]

    def _add(self, charge: Charge, change: Balance) -> None:
        for peer in {None, charge.peer}:
            key = (charge.node, charge.account, peer)
            self._sums[key] = self._sums.get(key, NOTHING) + change
