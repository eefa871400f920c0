"""Statements on a notary's database, executed in the caller's transaction."""

import json
from collections.abc import Iterator, Sequence
from typing import TypeVar

from sqlalchemy import Connection, LargeBinary, and_, bindparam, insert, or_, select

from host.database.prepared import Prepared
from host.domain.ids import EpochMs
from host.domain.json import canonical_json
from host.ledger.core.merkle import HASH_PREFIX, id_text
from host.ledger.core.model import StateRef
from host.ledger.core.notary_errors import ErrorKind
from host.ledger.notary.model import (
    Books,
    Entry,
    Rejection,
    Result,
    UniquenessRequest,
)
from host.ledger.notary.tables import CONSUMED, NOTARISED

_Key = TypeVar("_Key")

ACCEPTED = "A"
REJECTED = "R"
_SHA_256D = b"\1"
_AT_ONCE = 16
"""Keys of one statement."""


def _notarised(count: int) -> Prepared:
    keys = [bindparam(f"tx_{place}", type_=LargeBinary) for place in range(count)]
    return Prepared(select(NOTARISED).where(NOTARISED.c.tx.in_(keys)))


def _consumed(count: int) -> Prepared:
    states = (
        and_(CONSUMED.c.tx == bindparam(f"tx_{n}"), CONSUMED.c.output == bindparam(f"output_{n}"))
        for n in range(count)
    )
    return Prepared(select(CONSUMED).where(or_(*states)))


_NOTARISED = {count: _notarised(count) for count in (1, _AT_ONCE)}
_CONSUMED = {count: _consumed(count) for count in (1, _AT_ONCE)}
_NOTE, _SPEND = Prepared(insert(NOTARISED)), Prepared(insert(CONSUMED))


def read_books(connection: Connection, requests: Sequence[UniquenessRequest]) -> Books:
    """What is stored of every transaction and state that the requests name."""
    refs = {ref for request in requests for ref in request.refs()}
    ids = {request.id for request in requests} | {ref.transaction_id for ref in refs}
    results: dict[str, Result] = {}
    outputs: dict[str, int] = {}
    for keys in _parts([_key(transaction_id) for transaction_id in ids]):
        values = {f"tx_{place}": key for place, key in enumerate(keys)}
        for row in _NOTARISED[len(keys)].all(connection, values):
            transaction_id = _id(row.tx)
            results[transaction_id] = Result(id=transaction_id, rejection=_rejection(row.error))
            if row.result == ACCEPTED:
                outputs[transaction_id] = row.outputs
    spent: dict[StateRef, str] = {}
    for named in _parts(list(refs)):
        values = {f"tx_{place}": _key(ref.transaction_id) for place, ref in enumerate(named)}
        outputs_named = {f"output_{place}": ref.index for place, ref in enumerate(named)}
        for row in _CONSUMED[len(named)].all(connection, {**values, **outputs_named}):
            spent[StateRef(_id(row.tx), row.output)] = _id(row.by)
    return Books(results=results, outputs=outputs, spent=spent)


def write_entries(connection: Connection, entries: Sequence[Entry], *, now: EpochMs) -> None:
    """Store decided requests; a state that is spent already violates the key of `consumed`."""
    if not entries:
        return
    _NOTE.run(connection, [_row(entry, now) for entry in entries])
    spent = [
        {"tx": _key(ref.transaction_id), "output": ref.index, "by": _key(entry.request.id)}
        for entry in entries
        if entry.result.is_accepted
        for ref in entry.request.inputs
    ]
    _SPEND.run(connection, spent)


def _parts(keys: Sequence[_Key]) -> Iterator[Sequence[_Key]]:
    """Keys one by one if there are few, or as many as a statement takes, the last one repeated."""
    size = _AT_ONCE if len(keys) > 2 else 1
    for begin in range(0, len(keys), size):
        part = keys[begin : begin + size]
        yield [*part, *(size - len(part)) * [part[-1]]]


def _row(entry: Entry, now: EpochMs) -> dict[str, bytes | int | str | None]:
    request, rejection = entry.request, entry.result.rejection
    return {
        "tx": _key(request.id),
        "outputs": request.output_count,
        "result": ACCEPTED if rejection is None else REJECTED,
        "error": None if rejection is None else _rejection_text(rejection),
        "originator": request.originator,
        "upper_bound": request.upper,
        "at": now,
    }


def _rejection_text(rejection: Rejection) -> str:
    fields = {
        "kind": rejection.kind.value,
        "message": rejection.message,
        "details": rejection.details,
    }
    return canonical_json(fields).decode()


def _rejection(text: str | None) -> Rejection | None:
    if text is None:
        return None
    fields = json.loads(text)
    return Rejection(
        kind=ErrorKind(fields["kind"]), message=fields["message"], details=fields["details"]
    )


def _key(transaction_id: str) -> bytes:
    return _SHA_256D + bytes.fromhex(transaction_id.removeprefix(HASH_PREFIX))


def _id(key: bytes) -> str:
    return id_text(key[len(_SHA_256D) :])
