"""Results of calls that had side effects, stored in the transaction of the effect.

A call that is repeated after a crash finds its result here and has no second effect. For an ended
flow only the fact that it has ended is kept, for a while: a worker that lost the flow to another
one may still be about to repeat a call of that worker.
"""

import json

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    or_,
    select,
)

from host.database.prepared import Prepared
from host.domain.call_time import check_call_time
from host.domain.capability_error import CapabilityError
from host.domain.ids import EpochMs, FlowId
from host.domain.json import JsonValue, digest_of
from host.ports.database import Schema
from host.ports.requests import invalid_request

_METADATA = MetaData()
REQUEST = Table(
    "request_answer",
    _METADATA,
    Column("request_id", String(200), primary_key=True),
    Column("request_digest", String(64), nullable=False),
    Column("answer", Text, nullable=False),
    Column("answered_at", BigInteger, nullable=False),
)
REQUESTS = Schema(name="requests", metadata=_METADATA)

ENDED_KEPT_MS = 3_600_000
"""Longer than a worker that was wrongly considered dead can continue a step."""

_SELECT = select(REQUEST.c.request_digest, REQUEST.c.answer)
_FIND = Prepared(_SELECT.where(REQUEST.c.request_id == bindparam("request")))
_INSERT = Prepared(insert(REQUEST))
_ENDED = "ended:"
_AFTER_ENDED = "ended;"


def find_answer(connection: Connection, request_id: str, request: JsonValue) -> str | None:
    """The JSON text of the earlier answer to this request, or None.

    Raises:
        CapabilityError: `request-id-reused`: the identifier belongs to another request;
            `request-invalid`: the request has no canonical form.
    """
    row = _FIND.first(connection, {"request": request_id})
    if row is None:
        return None
    if row.request_digest != _digest(request):
        raise CapabilityError(
            "request-id-reused", f"request {request_id!r} was made before with other content"
        )
    return str(row.answer)


def remember_answer(
    connection: Connection, request_id: str, request: JsonValue, answer: JsonValue, now: EpochMs
) -> None:
    """Keep `answer` for `find_answer`, in the transaction of the request's effect."""
    _INSERT.run(
        connection,
        {
            "request_id": request_id,
            "request_digest": _digest(request),
            "answer": json.dumps(answer),
            "answered_at": now,
        },
    )


def holds_answers(connection: Connection, flow_id: FlowId) -> bool:
    """Whether answers to calls of this flow are stored."""
    return connection.execute(_SELECT.where(_of_flow(flow_id)).limit(1)).first() is not None


def forget_answers(connection: Connection, flow_id: FlowId, now: EpochMs) -> None:
    """Delete the stored answers of an ended flow; its calls cannot have effects any more."""
    connection.execute(delete(REQUEST).where(_of_flow(flow_id)))
    connection.execute(
        delete(REQUEST).where(
            REQUEST.c.request_id.between(_ENDED, _AFTER_ENDED),
            REQUEST.c.answered_at <= now - ENDED_KEPT_MS,
        )
    )
    ended = {"request_id": f"{_ENDED}{flow_id}", "request_digest": "", "answer": ""}
    _INSERT.run(connection, {**ended, "answered_at": now})


def refuse_ended(connection: Connection, flow_id: FlowId) -> None:
    """Refuse a side effect of a flow that has ended, in the transaction of the effect.

    Raises:
        CapabilityError: `flow-ended`.
    """
    if _FIND.first(connection, {"request": f"{_ENDED}{flow_id}"}) is not None:
        raise CapabilityError("flow-ended", f"flow {flow_id} has ended")


def _of_flow(flow_id: FlowId) -> ColumnElement[bool]:
    # A range instead of LIKE, so that the primary key index is used; '.' follows '-'.
    return or_(
        *(
            REQUEST.c.request_id.between(f"{kind}:{flow_id}-", f"{kind}:{flow_id}.")
            for kind in ("call", "dedup")
        )
    )


def _digest(request: JsonValue) -> str:
    check_call_time()
    try:
        return digest_of(request)
    except (ValueError, RecursionError) as exc:
        raise invalid_request(f"the request has no canonical form: {exc}") from exc


_COUNT_EFFECT = "UPDATE file_identity SET generation = generation + 1"
"""Executed with each new answer: a vault counts its effects."""


def count_effect(connection: Connection) -> None:
    """Count a write that stores no answer: a repeated one, and one that is repeatable by content.

    A vault has then had at least as many effects as its node's audit log tells of.
    """
    connection.exec_driver_sql(_COUNT_EFFECT)
