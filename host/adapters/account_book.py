"""Accounts of bytes in memory: the same sums that the durable store keeps."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeAlias

from host.domain.accounts import NOTHING, Account, Balance, Charge, Discrepancy
from host.domain.ids import ShortHash

Key: TypeAlias = tuple[ShortHash, Account, ShortHash | None]


def size_of(key: str, value: bytes) -> Balance:
    """What a record or a state counts for."""
    return Balance(bytes=len(key.encode()) + len(value), rows=1)


class AccountBook:
    """What counts to whom, by where it stands, and the sums of it."""

    def __init__(self) -> None:
        self._held: dict[Hashable, tuple[Charge, Balance]] = {}
        self._sums: dict[Key, Balance] = {}

    def put(self, place: Hashable, charge: Charge | None, size: Balance) -> None:
        """Count what stands at `place` now; without a charge it counts as what it replaces."""
        before = self.drop(place)
        charge = charge or before
        if charge is not None:
            self._held[place] = (charge, size)
            self._add(charge, size)

    def grow(
        self, place: Hashable, charge: Charge | None, more: Balance, whole: Callable[[], Balance]
    ) -> None:
        """Count more at a place; where nothing counted, and a charge comes, `whole` of it."""
        if place in self._held:
            before, size = self._held[place]
            self.put(place, before, size + more)
        elif charge is not None:
            self.put(place, charge, whole())

    def pass_on(self, place: Hashable, charge: Charge) -> None:
        """Let another account bear what stands at `place`."""
        if place in self._held:
            self.put(place, charge, self._held[place][1])

    def drop(self, place: Hashable) -> Charge | None:
        """Count no more what stood at `place`; answers whose it was."""
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
        """Where the sums are not those of what is held."""
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
