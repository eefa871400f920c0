"""Statements on a notary's database, executed in the caller's transaction."""

import json
from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, tuple_

from host.database.key_lists import in_parts
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

ACCEPTED = "A"
REJECTED = "R"
_SHA_256D = b"\1"


def read_books(connection: Connection, requests: Sequence[UniquenessRequest]) -> Books:
    """What is stored of every transaction and state that the requests name."""
    refs = {ref for request in requests for ref in request.refs()}
    ids = {request.id for request in requests} | {ref.transaction_id for ref in refs}
    results: dict[str, Result] = {}
    outputs: dict[str, int] = {}
    for keys in in_parts({_key(transaction_id) for transaction_id in ids}):
        for row in connection.execute(select(NOTARISED).where(NOTARISED.c.tx.in_(keys))):
            transaction_id = _id(row.tx)
            results[transaction_id] = Result(id=transaction_id, rejection=_rejection(row.error))
            if row.result == ACCEPTED:
                outputs[transaction_id] = row.outputs
    spent: dict[StateRef, str] = {}
    state = tuple_(CONSUMED.c.tx, CONSUMED.c.output)
    for pairs in in_parts({(_key(ref.transaction_id), ref.index) for ref in refs}):
        for row in connection.execute(select(CONSUMED).where(state.in_(pairs))):
            spent[StateRef(_id(row.tx), row.output)] = _id(row.by)
    return Books(results=results, outputs=outputs, spent=spent)


def write_entries(connection: Connection, entries: Sequence[Entry], *, now: EpochMs) -> None:
    """Store decided requests; a state that is spent already violates the key of `consumed`."""
    if not entries:
        return
    connection.execute(insert(NOTARISED), [_row(entry, now) for entry in entries])
    spent = [
        {"tx": _key(ref.transaction_id), "output": ref.index, "by": _key(entry.request.id)}
        for entry in entries
        if entry.result.is_accepted
        for ref in entry.request.inputs
    ]
    if spent:
        connection.execute(insert(CONSUMED), spent)


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
