"""Recorded transactions of virtual nodes: list them, and give them for `contract verify`.

Corda has no such resource.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import Query, Request, Response

from host.domain.ids import EpochMs
from host.domain.json import canonical_json
from host.domain.paging import Cursor
from host.ledger.recorded import Recorded
from host.rest.operation import resource
from host.rest.pages import NEXT_HEADERS, Asked, as_json, listed, next_headers, streamed
from host.rest.parameters import NodeHash, TransactionId
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
    """A transaction that a node has recorded; `timestamp` is the time of recording."""

    id: str
    timestamp: datetime


@wire
class TransactionInfos:
    transactions: list[TransactionInfo]


_INFO_JSON = as_json(TransactionInfo)


@router.get(
    "/ledger/{holdingidentityshorthash}/transaction",
    response_model=TransactionInfos,
    responses={200: {"headers": NEXT_HEADERS}},
)
def get_transactions(
    holdingidentityshorthash: NodeHash, services: Services, request: Request, asked: Asked
) -> Response:
    """List the transactions that a virtual node has recorded, the latest first."""
    node = services.virtual_node(holdingidentityshorthash).holding.short_hash

    def fetch(cursor: Cursor | None, limit: int) -> Sequence[tuple[int, str]]:
        return services.transactions.newest(node, limit, None if cursor is None else cursor.last[0])

    def render(place: tuple[int, str]) -> bytes:
        at = services.transactions.recorded_at(node, place[1])
        return _INFO_JSON(TransactionInfo(id=place[1], timestamp=instant(at)))

    page = asked.of("transactions", fetch, lambda place: place)
    return listed(request, page, render, member="transactions")


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
    since: Annotated[datetime | None, Query(description="Recorded then or later.")] = None,
    until: Annotated[datetime | None, Query(description="Recorded before.")] = None,
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
