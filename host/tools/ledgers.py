"""Ledgers of the nodes of a running host over its REST interface."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from host.ledger.core.model import parse_transaction_id
from host.tools.answers import shaped
from host.tools.host_client import HostClient
from host.tools.named_nodes import node_named

_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which transactions of a ledger to export; None for no limit.

    Attributes:
        state_type: of a state that they consume, refer to or make.
        since: recorded then or later.
        until: recorded before.
    """

    state_type: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def query(self) -> Mapping[str, str]:
        """The keys of a request."""
        times = {"since": self.since, "until": self.until}
        found = {name: at.isoformat() for name, at in times.items() if at is not None}
        return found if self.state_type is None else {**found, "statetype": self.state_type}


class Listed(TypedDict):
    """A transaction of a list; `timestamp` is the time of recording, ISO 8601."""

    id: str
    timestamp: str


def transactions(client: HostClient, node: str) -> Iterator[Listed]:
    """Identifier and time of a node's transactions, the latest first, fetched lazily.

    Raises:
        HostError: see `HostClient.get` and `node_named`.
    """
    path = f"/ledger/{node_named(client, node)}/transaction"
    for item in client.items(path, "transactions", limit=_PAGE):
        yield shaped(item, Listed, path)


def exported(
    client: HostClient, node: str, wanted: Sequence[str], chosen: Chosen
) -> Iterator[bytes]:
    """Ledger transactions as JSON, one at a time, without line ends.

    Args:
        client: of the host.
        node: short hash or X.500 name.
        wanted: identifiers; if there is none, all transactions of the node, the oldest first.
        chosen: which of all.

    Raises:
        TransactionIdInvalidError: one of `wanted` is no identifier.
        HostError: see `HostClient.get` and `node_named`.
    """
    identifiers = [parse_transaction_id(each) for each in wanted]
    place = f"/ledger/{node_named(client, node)}"
    if not identifiers:
        yield from client.lines(f"{place}/export", limit=_PAGE, **chosen.query())
    for identifier in identifiers:
        yield client.ask("GET", f"{place}/transaction/{identifier}/export")
