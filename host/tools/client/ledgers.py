"""Ledgers of the nodes of a running host over its REST interface."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from host.ledger.core.model import parse_transaction_id
from host.tools.client.answers import shaped
from host.tools.client.host_client import HostClient
from host.tools.client.named_nodes import node_named

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
    """A transaction of a list; `timestamp` is ISO 8601, `status` a letter."""

    id: str
    timestamp: str
    status: str


class Signed(TypedDict):
    """A signature of a transaction."""

    keyId: str
    isNotary: bool
    timestamp: str


class Verified(TypedDict):
    """A run of a contract CPK; `party` is None for the node itself."""

    party: str | None
    cpk: str
    code: str
    outcome: str
    run: str
    engine: str
    fuel: int
    verdict: str
    differs: bool


class Near(TypedDict):
    """A transaction before or after another one; `status` is a letter, None: not at the node."""

    id: str
    status: str | None


class Around(TypedDict):
    """Transactions that one takes states of, and verified ones that consume its own."""

    before: list[Near]
    after: list[Near]
    isCut: bool


class Shown(TypedDict):
    """A transaction of any status; times are ISO 8601."""

    id: str
    status: str
    reason: str | None
    origin: str
    createdAt: str
    recordedAt: str | None
    signatures: list[Signed]
    parties: list[str]
    visible: list[int]
    verifications: list[Verified]
    around: Around | None


STATUSES: Mapping[str, str] = {"D": "draft", "U": "unverified", "V": "verified", "I": "invalid"}
"""Letter -> word."""


def transactions(client: HostClient, node: str, statuses: str = "V") -> Iterator[Listed]:
    """A node's transactions with one of some statuses, letters, the latest first, fetched lazily.

    Raises:
        HostError: see `HostClient.get` and `node_named`.
    """
    path = f"/ledger/{node_named(client, node)}/transaction"
    for item in client.items(path, "transactions", limit=_PAGE, status=statuses):
        yield shaped(item, Listed, path)


def shown(client: HostClient, node: str, transaction: str, *, around: bool = False) -> Shown:
    """A transaction of any status, who signed it, and who verified it with which code.

    With `around`, also the transactions before and after it in the ledger's graph.

    Raises:
        TransactionIdInvalidError: `transaction` is no identifier.
        HostError: see `HostClient.get` and `node_named`.
    """
    identifier = parse_transaction_id(transaction)
    path = f"/ledger/{node_named(client, node)}/transaction/{identifier}"
    found = client.get(path, around="true") if around else client.get(path)
    return shaped(found, Shown, path)


class Repair(TypedDict):
    """What a host does about a transaction; not `isDue`: nothing is to be repaired."""

    id: str
    status: str
    isDue: bool


def repaired(client: HostClient, node: str, transaction: str) -> Repair:
    """Have a node ask the notary now what came of a transaction.

    Raises:
        TransactionIdInvalidError: `transaction` is no identifier.
        HostError: see `HostClient.post` and `node_named`.
    """
    identifier = parse_transaction_id(transaction)
    path = f"/ledger/{node_named(client, node)}/transaction/{identifier}/repair"
    return shaped(client.post(path), Repair, path)


class Rebuild(TypedDict):
    """A rebuild of a vault; null: nothing is to be rebuilt."""

    requestId: str | None


def rebuilt(client: HostClient, node: str) -> Rebuild:
    """Have a node run its vault functions again for all transactions that it has verified.

    Raises:
        HostError: see `HostClient.post` and `node_named`.
    """
    path = f"/virtualnode/{node_named(client, node)}/vault/rebuild"
    return shaped(client.post(path), Rebuild, path)


class Rebuilding(TypedDict):
    """How far a rebuild is: RUNNING or COMPLETED, times ISO 8601, counts of transactions."""

    requestId: str
    status: str
    startedAt: str
    updatedAt: str
    endedAt: str | None
    total: int
    transactions: int
    changed: int
    failed: int


def rebuilds(client: HostClient, node: str) -> list[Rebuilding]:
    """The last rebuilds of a node's vault, the latest first.

    Raises:
        HostError: see `HostClient.get` and `node_named`.
    """
    path = f"/virtualnode/{node_named(client, node)}/vault/rebuild"
    return [shaped(each, Rebuilding, path) for each in client.items(path, "rebuilds")]


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
