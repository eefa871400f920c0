"""Checks a node's room for incoming messages, so that no sender can use up all of it."""

from host.domain.accounts import Account, Charge, QuotaExceededError, hit_of
from host.flow.core.messages import Chunk, Data, InfoRequest, SessionFailure, SessionMessage
from host.flow.records.open_flows import SHARE_OF_ONE_PEER
from host.ports.accounts import Accounts
from host.ports.quotas import Quotas


class InboxRoom:
    """Checks the account `bus` of the receiving node. Thread-safe."""

    def __init__(self, accounts: Accounts, quotas: Quotas) -> None:
        self._accounts = accounts
        self._quotas = quotas

    def refusal(self, message: SessionMessage, size: int, *, pending: int) -> SessionFailure | None:
        """Why the receiver has no room for a message of `size` bytes; None if it has.

        `pending` are bytes for the same session that will be delivered with it. Unread data from
        one sender is limited to half of the receiver's limit on the bus. Messages without a payload
        are always accepted: they end sessions.

        Raises:
            StorageError: the store cannot be read.
        """
        reason = self.excess(message, size, pending=pending)
        if reason is None:
            return None
        self._quotas.hit(message.target.node(), hit_of(Account.BUS))
        return SessionFailure(code=QuotaExceededError.code, message=reason)

    def excess(self, message: SessionMessage, size: int, *, pending: int) -> str | None:
        """As `refusal`, as text and without counting a hit of the quota; raises as it does."""
        if not isinstance(message.payload, Data | Chunk | InfoRequest):
            return None
        node, sender = message.target.node(), message.source.node()
        most = self._quotas.quota(node).bus_bytes_max
        charge = Charge(node=node, account=Account.BUS, peer=sender)
        whole, part = self._accounts.whole_and_share(charge)
        held, sent = whole.bytes + pending, part.bytes + pending
        share = most // SHARE_OF_ONE_PEER
        if held + size <= most and sent + size <= share:
            return None
        by_sender = f", {sent} of them from virtual node {sender}, which may have {share}"
        return (
            f"account bus of virtual node {node} holds {held} bytes{by_sender}; a message"
            f" of {size} bytes does not fit {most}"
        )
