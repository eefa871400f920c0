"""`ledger.query` of the operation `named`: queries that contract packages declare."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection

from host.database.query_time import limited_time
from host.domain.accounts import QuotaExceededError
from host.domain.call_time import call_time_paused
from host.domain.capability_error import CapabilityError
from host.domain.ids import Checksum, EpochMs, ShortHash
from host.domain.instants import instant_micros
from host.domain.json import JsonObject, JsonValue, digest_of
from host.domain.packages import CpiRecord
from host.ledger.query.cursor import CURSOR_CHARACTERS_MAX, QueryCursor, parse_cursor
from host.ledger.query.declared import VaultQuery, compile_queries
from host.ledger.query.parameters import bound_values
from host.ledger.query.typing import CONTRACT_STATE
from host.ledger.vault import outputs
from host.ledger.vault.queries import (
    Found,
    QueryStatements,
    has_indexes,
    newest,
    set_indexes,
    wanted_indexes,
)
from host.ports.capability import CallContext
from host.ports.requests import (
    check_fields,
    invalid_request,
    take_int,
    take_object,
    take_text,
    take_text_or_null,
)
from host.ports.vaults import VaultAccess
from sandbox.host_api import size

PAGE_BYTES_MAX = 1024 * 1024
_LIMIT_MAX = size("ledger.query", "limit")
_FIELDS = ("op", "name", "parameters", "limit", "after", "createdBefore", "results")
_RESULTS = ("states", "json", "count")
_CHUNK = 32
"""States that are read at once: each may have a megabyte."""
_KEPT_MAX = 256
_MICROS_PER_MS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Declared:
    """What a CPI declares for vaults, compiled."""

    queries: Mapping[str, tuple[VaultQuery, QueryStatements]]
    indexes: Mapping[str, Sequence[ColumnElement[Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """A parsed request."""

    query: VaultQuery
    statements: QueryStatements
    values: Mapping[str, Any]
    limit: int
    cursor: QueryCursor | None
    before: EpochMs | None
    results: str
    digest: str


class NamedQueries:
    """Answers vault-named queries. Thread-safe."""

    def __init__(
        self, vaults: VaultAccess, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._vaults = vaults
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._declared: OrderedDict[Checksum, _Declared] = OrderedDict()
        self._indexed: OrderedDict[ShortHash, Checksum] = OrderedDict()

    def answer(self, context: CallContext, request: JsonObject) -> JsonValue:
        """`{"results": [..], "next": cursor or null}`, or a number.

        Raises:
            CapabilityError: `request-invalid`, `query-unknown`, `query-parameter`,
                `query-cursor-invalid`, `query-too-slow`.
        """
        declared = self._of(context.cpi)
        parsed = _parsed(declared, request)
        node = context.holding.short_hash
        self._index(node, context.cpi, declared)
        with self._vaults.read(node) as connection, self._timed(connection, parsed.query):
            return _answered(connection, parsed)

    def _of(self, cpi: CpiRecord) -> _Declared:
        with self._lock:
            kept = self._declared.get(cpi.file_checksum)
            if kept is not None:
                self._declared.move_to_end(cpi.file_checksum)
                return kept
        cpks = cpi.contract_cpks()
        queries = compile_queries([query for cpk in cpks for query in cpk.queries])
        made = _Declared(
            queries={name: (query, QueryStatements(query)) for name, query in queries.items()},
            indexes=wanted_indexes(state for cpk in cpks for state in cpk.states_in_vault),
        )
        with self._lock:
            _keep(self._declared, cpi.file_checksum, made)
        return made

    def _index(self, node: ShortHash, cpi: CpiRecord, declared: _Declared) -> None:
        """Give the vault the indexes of the CPI, once for each CPI that a node gets."""
        with self._lock:
            if self._indexed.get(node) == cpi.file_checksum:
                return
        with self._vaults.read(node) as connection:
            is_indexed = has_indexes(connection, declared.indexes)
        if not is_indexed:
            try:
                with call_time_paused():  # one call pays for all that follow
                    self._vaults.transact(node, lambda c: set_indexes(c, declared.indexes))
            except QuotaExceededError:
                return  # a full vault is queried all the same, if slowly
        with self._lock:
            _keep(self._indexed, node, cpi.file_checksum)

    @contextmanager
    def _timed(self, connection: Connection, query: VaultQuery) -> Iterator[None]:
        try:
            with limited_time(connection, self._monotonic):
                yield
        except CapabilityError as refused:
            if refused.code != "query-too-slow" or not query.paths:
                raise
            paths = ", ".join(" -> ".join(map(str, path)) for path in query.paths)
            raise CapabilityError(
                refused.code, f"query {query.name!r}: {refused.message}; it compares {paths}"
            ) from refused


def _keep(kept: OrderedDict[Any, Any], key: object, value: object) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > _KEPT_MAX:
        kept.popitem(last=False)


def _parsed(declared: _Declared, request: JsonObject) -> _Request:
    check_fields(request, _FIELDS)
    name = take_text(request, "name", characters_max=128)
    if name not in declared.queries:
        known = ", ".join(sorted(declared.queries)) or "none"
        raise CapabilityError(
            "query-unknown", f"no contract CPK declares a query {name!r}; declared are {known}"
        )
    query, statements = declared.queries[name]
    parameters = take_object(request, "parameters") if "parameters" in request else {}
    created_before = take_text_or_null(request, "createdBefore", characters_max=64)
    digest = digest_of([query.digest, parameters, created_before])
    after = take_text_or_null(request, "after", characters_max=CURSOR_CHARACTERS_MAX)
    results = take_text(request, "results", characters_max=16) if "results" in request else "states"
    if results not in _RESULTS:
        raise invalid_request(f"field 'results' must be one of {', '.join(_RESULTS)}")
    return _Request(
        query=query,
        statements=statements,
        values=bound_values(name, query.uses, parameters),
        limit=take_int(request, "limit", minimum=1, maximum=_LIMIT_MAX),
        cursor=None if after is None else parse_cursor(after, digest),
        before=None if created_before is None else _before(created_before),
        results=results,
        digest=digest,
    )


def _before(text: str) -> EpochMs:
    """The first millisecond that is not before an instant."""
    try:
        return EpochMs(-(-instant_micros(text) // _MICROS_PER_MS))
    except ValueError as exc:
        raise invalid_request(f"field 'createdBefore' is no instant: {exc}") from exc


def _answered(connection: Connection, asked: _Request) -> JsonValue:
    snapshot = newest(connection) if asked.cursor is None else asked.cursor.snapshot
    if asked.results == "count":
        return asked.statements.count(
            connection, asked.values, snapshot=snapshot, before=asked.before
        )
    found = asked.statements.page(
        connection,
        asked.values,
        limit=asked.limit + 1,
        snapshot=snapshot,
        after=None if asked.cursor is None else asked.cursor.last,
        before=asked.before,
    )
    read = _representations if asked.results == "json" else _states
    results: list[JsonValue] = []
    last, used = 0, 0
    for state, value, length in read(connection, found[: asked.limit]):
        used += length
        if results and used > PAGE_BYTES_MAX:
            break
        results.append(value)
        last = state.seq
    if len(results) == len(found):
        return {"results": results, "next": None}
    cursor = QueryCursor(digest=asked.digest, snapshot=snapshot, last=last)
    return {"results": results, "next": cursor.encoded()}


def _states(
    connection: Connection, found: Sequence[Found]
) -> Iterator[tuple[Found, JsonValue, int]]:
    """Each state with its JSON and its size."""
    for start in range(0, len(found), _CHUNK):
        chunk = found[start : start + _CHUNK]
        read = {
            seq: (state, length)
            for seq, state, length in outputs.each_state(connection, [each.seq for each in chunk])
        }
        for each in chunk:
            state, length = read[each.seq]
            yield each, state.to_json(), length


def _representations(
    _connection: Connection, found: Sequence[Found]
) -> Iterator[tuple[Found, JsonValue, int]]:
    """Each state as queries see it, with its size."""
    for each in found:
        value = msgspec.json.decode(each.representation)
        value[CONTRACT_STATE] = {"stateRef": str(each.ref)}
        yield each, value, len(each.representation)
