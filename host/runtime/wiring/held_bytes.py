"""Bytes that virtual nodes occupy on the host, by account, in all stores."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge

from host.domain.accounts import Account
from host.domain.errors import StorageError
from host.domain.ids import ShortHash
from host.nodes.audit_log.log_files import used_bytes
from host.ports.accounts import Accounts
from host.ports.vaults import VaultAccess

_STORED = (Account.BUS, Account.STATUS, Account.JOURNAL, Account.HISTORY)
"""Accounts in the flow store."""


class HeldBytes:
    """Bytes of one node's accounts, except `log`, which is a rate.

    Args:
        store: has the accounts of flows.
        vaults: the nodes' storage.
        notaries: what notaries keep of transactions and spent states.
        folders: of the nodes, with their audit logs.
        parked: memory of the node's suspended guests, in all processes.
    """

    def __init__(
        self,
        *,
        store: Accounts,
        vaults: VaultAccess,
        notaries: VaultAccess,
        folders: Path,
        parked: Callable[[ShortHash], int],
    ) -> None:
        self._store = store
        self._vaults = vaults
        self._notaries = notaries
        self._folders = folders
        self._parked = parked

    def __call__(self, node: ShortHash) -> Mapping[Account, int]:
        """The bytes that the node occupies, by account.

        Raises:
            StorageError: one of the places cannot be read.
        """
        stored = {account: held.bytes for account, held in self._store.balances(node).items()}
        return {
            **stored,
            Account.VAULT: self._vaults.used_bytes(node),
            Account.UNIQUENESS: self._notaries.used_bytes(node),
            Account.AUDIT: used_bytes(self._folders / node),
            Account.PARKED: self._parked(node),
        }


def add_account_metrics(registry: CollectorRegistry, store: Accounts) -> None:
    """Export the total of each account over all nodes; there is no label for the node."""
    gauge = Gauge(
        "cordbox_account_bytes",
        "Bytes that all virtual nodes hold, by account.",
        ("account",),
        registry=registry,
    )
    for account in _STORED:
        gauge.labels(account.value).set_function(_total(store, account))


def _total(store: Accounts, account: Account) -> Callable[[], float]:
    def read() -> float:
        with suppress(StorageError):
            return store.total(account).bytes
        return float("nan")

    return read
