"""`persistence`: typed entities by key, one table in the vault of the calling node.

A write and its answer are stored in one transaction, under the caller's `dedupId` or else the
call's own identifier: the same write again, after a crash for example, changes nothing and gets the
same answer. Nothing is served before the vault has the schemas of the caller's CPI.
"""

import json
import time
from collections.abc import Callable, Mapping

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, insert, select

from host.database.query_time import limited_time
from host.database.sql import Upsert
from host.domain.capability_error import CapabilityError
from host.domain.json import JsonObject, JsonValue
from host.entities.entity_types import EntityTypes
from host.entities.errors import (
    EntityDeclarationError,
    EntityMigrationError,
    EntitySchemaTooNewError,
)
from host.entities.operations import (
    ANSWER_BYTES_MAX,
    Entity,
    Find,
    FindAll,
    RunQuery,
    Types,
    Write,
    WriteOp,
    parse_read,
    parse_write,
)
from host.entities.schemas import bring_up_to_date, is_up_to_date
from host.entities.tables import ENTITY
from host.ports.capability import CallContext
from host.ports.requests import invalid_request
from host.ports.vaults import VaultAccess
from host.vault.idempotency import count_effect, find_answer, refuse_ended, remember_answer

_SELECT = select(ENTITY.c.value)
_INSERT = insert(ENTITY)
_MERGE = Upsert(table=ENTITY, replace=("value", "sort_keys", "updated_at"))
_DELETE = delete(ENTITY)


class EntityCapability:
    """The WIT interface `persistence`. Thread-safe."""

    name = "persistence"

    def __init__(
        self,
        vaults: VaultAccess,
        types: EntityTypes | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vaults = vaults
        self._types = types or EntityTypes()
        self._monotonic = monotonic

    def call(self, context: CallContext, function: str, request: JsonObject) -> JsonValue:
        try:
            types = self._types.of(context.cpi)
            if function == "write":
                return self._write(types, context, request)
            if function == "read":
                return self._read(types, context, request)
        except (EntityDeclarationError, EntityMigrationError, EntitySchemaTooNewError) as exc:
            raise CapabilityError(exc.code, exc.message) from exc
        raise invalid_request(f"interface persistence has no function {function!r}")

    def _write(self, types: Types, context: CallContext, request: JsonObject) -> JsonValue:
        write = parse_write(types, request)
        request_id = (
            f"call:{context.request_id}"
            if write.dedup_id is None
            else f"dedup:{context.flow_id}-{write.dedup_id}"
        )

        def apply(connection: Connection) -> JsonValue:
            refuse_ended(connection, context.flow_id)
            known = find_answer(connection, request_id, request)
            if known is not None:
                count_effect(connection)
                answered: JsonValue = json.loads(known)
                return answered
            if not is_up_to_date(connection, [entity.type for entity in write.entities]):
                bring_up_to_date(connection, types, context.now)
            answer = [_apply(connection, write, entity, context) for entity in write.entities]
            remember_answer(connection, request_id, request, answer, context.now)
            return answer

        return self._vaults.transact(context.holding.short_hash, apply)

    def _read(self, types: Types, context: CallContext, request: JsonObject) -> JsonValue:
        read = parse_read(types, request)
        holding = context.holding.short_hash
        with self._vaults.read(holding) as connection:
            if is_up_to_date(connection, [read.type]):
                return self._answer(connection, read)

        def migrate_and_answer(connection: Connection) -> JsonValue:
            bring_up_to_date(connection, types, context.now)
            return self._answer(connection, read)

        return self._vaults.transact(holding, migrate_and_answer)

    def _answer(self, connection: Connection, read: Find | FindAll | RunQuery) -> JsonValue:
        if isinstance(read, Find):
            return _find(connection, read)
        with limited_time(connection, self._monotonic):
            if isinstance(read, FindAll):
                statement = _SELECT.where(ENTITY.c.type == read.type.name).order_by(ENTITY.c.key)
                return _page(connection, statement, {}, read)
            return _page(connection, read.query.select, read.values, read)


def _apply(connection: Connection, write: Write, entity: Entity, context: CallContext) -> JsonValue:
    if write.op is WriteOp.REMOVE:
        removed = _value(connection, entity.type.name, entity.key)
        connection.execute(_DELETE.where(_same(entity.type.name, entity.key)))
        return None if removed is None else _decoded(removed)
    assert entity.value is not None, entity.key  # noqa: S101  # parse_write's promise
    row = {
        "type": entity.type.name,
        "key": entity.key,
        "value": entity.value,
        "sort_keys": entity.sort_keys,
        "updated_at": context.now,
    }
    if write.op is WriteOp.MERGE:
        _MERGE.run(connection, row)
    elif _value(connection, entity.type.name, entity.key) is None:
        connection.execute(_INSERT, row)
    else:
        raise CapabilityError("entity-exists", f"entity {entity.type.name} {entity.key!r} exists")
    return _decoded(entity.value)


def _find(connection: Connection, read: Find) -> JsonValue:
    found: list[JsonValue] = []
    size = 0
    for key in read.keys:
        value = _value(connection, read.type.name, key)
        size += 0 if value is None else len(value)
        if size > ANSWER_BYTES_MAX:
            raise CapabilityError(
                "answer-too-large",
                f"the {len(read.keys)} entities {read.type.name} exceed {ANSWER_BYTES_MAX} bytes;"
                " ask for fewer",
            )
        found.append(None if value is None else _decoded(value))
    return found


def _page(
    connection: Connection,
    statement: Select[tuple[str]],
    parameters: Mapping[str, object],
    read: FindAll | RunQuery,
) -> JsonValue:
    rows = connection.execute(statement.offset(read.offset).limit(read.limit + 1), parameters)
    values: list[str] = []
    size = 0
    more = False
    for row in rows:
        size += len(row.value)
        if len(values) == read.limit or (values and size > ANSWER_BYTES_MAX):
            more = True
            break
        values.append(row.value)
    rows.close()
    return {"results": [_decoded(value) for value in values], "more": more}


def _value(connection: Connection, type_: str, key: str) -> str | None:
    return connection.execute(_SELECT.where(_same(type_, key))).scalar_one_or_none()


def _same(type_: str, key: str) -> ColumnElement[bool]:
    return and_(ENTITY.c.type == type_, ENTITY.c.key == key)


def _decoded(value: str) -> JsonValue:
    decoded: JsonValue = json.loads(value)
    return decoded
