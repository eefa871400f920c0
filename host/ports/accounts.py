"""Byte accounts in the flow store, updated in the transaction that changes what they count."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from host.domain.accounts import NOTHING, Account, Balance, Charge, Discrepancy
from host.domain.ids import ShortHash
from host.ports.state import StateRecord


class Accounts(Protocol):
    """Reading side of the accounts. Keys and values are counted in bytes."""

    def balance(self, node: ShortHash, account: Account) -> Balance:
        """The balance of the node's account, including the shares of all peers."""
        ...

    def balances(self, node: ShortHash) -> Mapping[Account, Balance]:
        """All accounts of the node in the store that have ever had a balance."""
        ...

    def shares(self, node: ShortHash, account: Account) -> Mapping[ShortHash, Balance]:
        """The parts of the balance that peers have caused; the node itself has caused the rest."""
        ...

    def share(self, charge: Charge) -> Balance:
        """The part that one peer has caused; for a charge without a peer, the same as `balance`."""
        ...

    def whole_and_share(self, charge: Charge) -> tuple[Balance, Balance]:
        """`balance` of the charge's account and `share` of the charge, in one query."""
        ...

    def total(self, account: Account) -> Balance:
        """The sum of the accounts of all nodes."""
        ...

    def oldest(self, charge: Charge, limit: int) -> Sequence[StateRecord]:
        """States of exactly this charge that have a due time, the earliest first."""
        ...

    def recount(self, *, repair: bool = False) -> Sequence[Discrepancy]:
        """Compare every account with the sum of its items.

        Args:
            repair: correct the accounts that differ.

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
