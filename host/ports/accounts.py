"""Accounts of bytes that the flow store keeps, in the transaction that changes what they count."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from host.domain.accounts import NOTHING, Account, Balance, Charge, Discrepancy
from host.domain.ids import ShortHash
from host.ports.state import StateRecord


class Accounts(Protocol):
    """Reading side of the accounts. A key and a value count with their bytes."""

    def balance(self, node: ShortHash, account: Account) -> Balance:
        """What the node's account holds, by whomever it was caused."""
        ...

    def balances(self, node: ShortHash) -> Mapping[Account, Balance]:
        """All accounts of the node that the store keeps and that ever held anything."""
        ...

    def shares(self, node: ShortHash, account: Account) -> Mapping[ShortHash, Balance]:
        """What peers have caused of it; the rest is the node's own."""
        ...

    def share(self, charge: Charge) -> Balance:
        """What one peer has caused; of a charge without a peer, as `balance`."""
        ...

    def whole_and_share(self, charge: Charge) -> tuple[Balance, Balance]:
        """`balance` of the charge's account and `share` of the charge, in one look."""
        ...

    def total(self, account: Account) -> Balance:
        """What the accounts of all nodes hold."""
        ...

    def oldest(self, charge: Charge, limit: int) -> Sequence[StateRecord]:
        """States of exactly this charge that have a due time, the earliest first."""
        ...

    def recount(self, *, repair: bool = False) -> Sequence[Discrepancy]:
        """Compare every account with the sum of what counts to it.

        Args:
            repair: set those that differ right.

        Raises:
            StorageError: the store cannot be used.
        """
        ...


class Uncounted:
    """`Accounts` of an engine that stores nothing: all are empty."""

    def balance(self, node: ShortHash, account: Account) -> Balance:
        del node, account
        return NOTHING

    def balances(self, node: ShortHash) -> Mapping[Account, Balance]:
        del node
        return {}

    def shares(self, node: ShortHash, account: Account) -> Mapping[ShortHash, Balance]:
        del node, account
        return {}

    def share(self, charge: Charge) -> Balance:
        del charge
        return NOTHING

    def whole_and_share(self, charge: Charge) -> tuple[Balance, Balance]:
        del charge
        return NOTHING, NOTHING

    def total(self, account: Account) -> Balance:
        del account
        return NOTHING

    def oldest(self, charge: Charge, limit: int) -> Sequence[StateRecord]:
        del charge, limit
        return ()

    def recount(self, *, repair: bool = False) -> Sequence[Discrepancy]:
        del repair
        return ()
