"""Transactions of virtual nodes: list them, repair them, give them for `contract verify`.

Corda has no such resource.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import Query, Request, Response

from host.domain.ids import EpochMs
from host.domain.json import canonical_json
from host.domain.paging import Cursor
from host.ledger.core.statuses import Status
from host.ledger.recorded import Around, Overview, Recorded
from host.rest.operation import resource
from host.rest.pages import NEXT_HEADERS, Asked, as_json, listed, next_headers, streamed
from host.rest.parameters import Instant, NodeHash, TransactionId
from host.rest.services import Services
from host.rest.wire import instant, millis, wire

router = resource("Ledger")

LINES = "application/jsonl"
_TYPE_CHARACTERS_MAX = 255
_DESCRIPTION = "Ledger transactions as contracts see them (docs/reference/host-api.md)"
_ONE = {"application/json": {"schema": {"type": "object"}}}
_MANY = {LINES: {"schema": {"type": "string"}}}


@wire
class TransactionInfo:
    """A transaction of a node.

    `timestamp` is the time of recording or, of one that is not verified, of its first storing.
    """

    id: str
    timestamp: datetime
    status: str


@wire
class TransactionInfos:
    transactions: list[TransactionInfo]


@wire
class SignatureInfo:
    """A signature of a transaction; `key_id` is the key's id."""

    key_id: str
    is_notary: bool
    timestamp: str


@wire
class VerificationInfo:
    """A run of a contract CPK.

    `party` is the counterparty that told of it; null for the node itself. `differs`: it came to
    another outcome than the node's own run.
    """

    party: str | None
    cpk: str
    code: str
    outcome: str
    run: str
    engine: str
    fuel: int
    verdict: str
    differs: bool


@wire
class NearTransaction:
    """A transaction before or after another one; `status` is null if the node does not have it."""

    id: str
    status: str | None


@wire
class TransactionsAround:
    """Transactions of which one takes states, and verified ones that consume its own.

    `is_cut`: there are more than 100 of either, which are left out.
    """

    before: list[NearTransaction]
    after: list[NearTransaction]
    is_cut: bool


@wire
class TransactionOverview:
    """A transaction of any status, who signed it, and who verified it with which code.

    `around` is null unless it is asked for.
    """

    id: str
    status: str
    reason: str | None
    origin: str
    created_at: datetime
    recorded_at: datetime | None
    signatures: list[SignatureInfo]
    parties: list[str]
    visible: list[int]
    verifications: list[VerificationInfo]
    around: TransactionsAround | None = None


@wire
class RepairInfo:
    """What is done about a transaction; `status` is the one before.

    `is_due` is false for a verified transaction: nothing is to be repaired.
    """

    id: str
    status: str
    is_due: bool


_INFO_JSON = as_json(TransactionInfo)
_VERIFIED = "V"


@router.get(
    "/ledger/{holdingidentityshorthash}/transaction",
    response_model=TransactionInfos,
    responses={200: {"headers": NEXT_HEADERS}},
)
def get_transactions(
    *,
    holdingidentityshorthash: NodeHash,
    services: Services,
    request: Request,
    asked: Asked,
    status: Annotated[
        str,
        Query(
            pattern="^[DUVI]{1,4}$",
            description="Letters of statuses: D draft, U unverified, V verified, I invalid.",
        ),
    ] = _VERIFIED,
) -> Response:
    """List the transactions of a virtual node that have one of some statuses, the latest first."""
    node = services.virtual_node(holdingidentityshorthash).holding.short_hash
    statuses = frozenset(map(Status, status))

    def fetch(cursor: Cursor | None, limit: int) -> Sequence[tuple[int, str]]:
        before = None if cursor is None else cursor.last[0]
        return services.transactions.newest(node, limit, before, statuses)

    def render(place: tuple[int, str]) -> bytes:
        found, at = services.transactions.outline(node, place[1])
        return _INFO_JSON(TransactionInfo(id=place[1], timestamp=instant(at), status=found.value))

    page = asked.of("transactions", fetch, lambda place: place)
    return listed(request, page, render, member="transactions")


@router.get("/ledger/{holdingidentityshorthash}/transaction/{transactionid}")
def get_transaction(
    *,
    holdingidentityshorthash: NodeHash,
    transactionid: TransactionId,
    services: Services,
    around: Annotated[
        bool,
        Query(description="Also the transactions before and after it in the ledger's graph."),
    ] = False,
) -> TransactionOverview:
    """Show a transaction of any status, who signed it, and who verified it with which code."""
    node = services.virtual_node(holdingidentityshorthash).holding.short_hash
    found = services.transactions.overview(node, transactionid)
    near = services.transactions.around(node, found) if around else None
    return _overview(found, near)


@router.post("/ledger/{holdingidentityshorthash}/transaction/{transactionid}/repair")
def post_transaction_repair(
    holdingidentityshorthash: NodeHash, transactionid: TransactionId, services: Services
) -> RepairInfo:
    """Ask the notary now what came of a transaction that is unverified, or that was refused.

    A node does so by itself, at growing intervals. The answer does not wait for the notary: the
    transaction's status tells what came of it. A transaction that is a draft, that is invalid for
    ever or that names no notary is refused with `transaction-not-repairable`.
    """
    vnode = services.virtual_node(holdingidentityshorthash)
    made = services.repairs.make_due(vnode, transactionid)
    return RepairInfo(id=made.id, status=made.status.value, is_due=made.is_due)


@router.get(
    "/ledger/{holdingidentityshorthash}/transaction/{transactionid}/export",
    response_class=Response,
    responses={200: {"description": f"{_DESCRIPTION}, one.", "content": _ONE}},
)
def get_transaction_export(
    holdingidentityshorthash: NodeHash, transactionid: TransactionId, services: Services
) -> Response:
    """Give a recorded transaction with the states that it names, for `cordbox contract verify`."""
    node = services.virtual_node(holdingidentityshorthash).holding.short_hash
    return streamed((_as_text(services.transactions.find(node, transactionid)),))


@router.get(
    "/ledger/{holdingidentityshorthash}/export",
    response_class=Response,
    responses={
        200: {
            "description": f"{_DESCRIPTION}, one a line.",
            "content": _MANY,
            "headers": NEXT_HEADERS,
        }
    },
)
def get_ledger_export(
    *,
    holdingidentityshorthash: NodeHash,
    services: Services,
    request: Request,
    asked: Asked,
    statetype: Annotated[
        str | None,
        Query(
            max_length=_TYPE_CHARACTERS_MAX,
            description="Only transactions that consume, refer to or make a state of this type.",
        ),
    ] = None,
    since: Annotated[Instant | None, Query(description="Recorded then or later.")] = None,
    until: Annotated[Instant | None, Query(description="Recorded before.")] = None,
) -> Response:
    """Give recorded transactions, the oldest first, one a line, for `cordbox contract verify`.

    `limit` is the number of transactions that are looked at: a page has fewer lines if filters
    leave some out.
    """
    node = services.virtual_node(holdingidentityshorthash).holding.short_hash
    first, last = millis(since), millis(until)

    def fetch(cursor: Cursor | None, limit: int) -> Sequence[tuple[int, str]]:
        return services.transactions.oldest(node, limit, None if cursor is None else cursor.last[0])

    def line(place: tuple[int, str]) -> bytes:
        if first is not None or last is not None:
            at = services.transactions.recorded_at(node, place[1])
            if not _within(at, first, last):
                return b""
        found = services.transactions.find(node, place[1])
        if statetype is not None and statetype not in found.state_types:
            return b""
        return _as_text(found) + b"\n"

    page = asked.of("ledger-export", fetch, lambda place: place)
    headers = next_headers(request, page.next)
    return streamed(map(line, page.items), headers, media_type=LINES)


def _within(at: EpochMs, first: EpochMs | None, last: EpochMs | None) -> bool:
    return (first is None or at >= first) and (last is None or at < last)


def _as_text(found: Recorded) -> bytes:
    return canonical_json(found.resolved.to_json())


def _near(
    found: Sequence[tuple[str, Status | None]],
) -> list[NearTransaction]:
    return [
        NearTransaction(id=each, status=None if status is None else status.value)
        for each, status in found
    ]


def _around(found: Around) -> TransactionsAround:
    return TransactionsAround(
        before=_near(found.before), after=_near(found.after), is_cut=found.is_cut
    )


def _overview(found: Overview, around: Around | None) -> TransactionOverview:
    stored = found.stored
    return TransactionOverview(
        id=stored.signed.id,
        status=stored.status.value,
        reason=None if stored.reason is None else stored.reason.value,
        origin=stored.origin.value,
        created_at=instant(stored.created_at),
        recorded_at=None if stored.recorded_at is None else instant(stored.recorded_at),
        signatures=[
            SignatureInfo(
                key_id=each.by,
                is_notary=each.key == found.notary_key,
                timestamp=each.timestamp,
            )
            for each in stored.signed.signatures
        ],
        parties=list(found.parties),
        visible=list(found.visible),
        verifications=[
            VerificationInfo(
                party=party or None,
                cpk=each.cpk,
                code=each.code,
                outcome=each.outcome,
                run=each.run,
                engine=each.engine,
                fuel=each.fuel,
                verdict=each.verdict,
                differs=found.differs(each),
            )
            for party, each in found.verifications
        ],
        around=None if around is None else _around(around),
    )
