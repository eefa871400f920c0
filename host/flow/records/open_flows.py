"""Limits the open flows of a virtual node: client-started ones and responders.

The store counts them by their statuses. The responders that one initiating node may have open at
another node are limited to half of the quota: otherwise one node could use up another's quota.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from host.domain.accounts import Account, Charge
from host.domain.ids import ShortHash
from host.domain.quotas import QuotaCode
from host.flow.core.errors import FlowsTooManyError
from host.flow.core.messages import SessionFailure
from host.flow.core.room import NodeBalances
from host.ports.accounts import Accounts
from host.ports.quotas import Quotas

SHARE_OF_ONE_PEER = 2
"""One peer may cause at most this fraction (a half) of a node's limit."""


class OpenFlows:
    """Admits starts and responders. Thread-safe.

    Each process adds the flows that it is about to start to those in the store: several processes
    together may exceed a limit by the flows that their threads start at the same moment.
    """

    def __init__(self, accounts: Accounts, quotas: Quotas) -> None:
        self._accounts = accounts
        self._quotas = quotas
        self._lock = threading.Lock()
        self._starting: Counter[ShortHash] = Counter()

    def count(self, node: ShortHash) -> int:
        """Flows of `node` that have not ended: a final status has a due time."""
        return self._accounts.balance(node, Account.STATUS).lasting

    @contextmanager
    def place(self, node: ShortHash) -> Iterator[NodeBalances]:
        """Reserve room for one more client-started flow, which is stored within the block.

        Returns:
            The balances of the node, from the same query.

        Raises:
            FlowsTooManyError: the node has as many open as its quota allows.
            StorageError: the store cannot be read.
        """
        limit = self._quotas.quota(node).flows_open_max
        balances = NodeBalances(self._accounts, node)
        with self._lock:
            count = balances.exact(Account.STATUS).lasting + self._starting[node]
            is_free = count < limit
            if is_free:
                self._starting[node] += 1
        if not is_free:
            self._quotas.hit(node, QuotaCode.FLOWS)
            raise FlowsTooManyError(
                f"virtual node {node} has {count} flows that have not ended, at most {limit} are"
                " allowed"
            )
        try:
            yield balances
        finally:
            with self._lock:
                self._starting[node] -= 1
                if not self._starting[node]:
                    del self._starting[node]

    def refusal(self, node: ShortHash, initiator: ShortHash) -> SessionFailure | None:
        """Why `node` refuses another responder for a flow of `initiator`; None if it accepts one.

        Raises:
            StorageError: the store cannot be read.
        """
        quota = self._quotas.quota(node)
        charge = Charge(node=node, account=Account.STATUS, peer=initiator)
        whole, part = self._accounts.whole_and_share(charge)
        if whole.lasting >= quota.flows_open_max:
            return self._refused(
                node, f"has as many flows that have not ended as it may: {quota.flows_open_max}"
            )
        most = min(
            quota.flows_open_from_node_max, max(1, quota.flows_open_max // SHARE_OF_ONE_PEER)
        )
        if part.lasting >= most:
            return self._refused(
                node,
                f"has as many responders for virtual node {initiator} as it may: {most}",
            )
        return None

    def _refused(self, node: ShortHash, reason: str) -> SessionFailure:
        self._quotas.hit(node, QuotaCode.FLOWS)
        return SessionFailure(code=QuotaCode.FLOWS.value, message=f"virtual node {node} {reason}")
