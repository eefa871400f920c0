"""Requests of the `persistence` interface as values, parsed and checked against limits."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from host.domain.capability_error import CapabilityError
from host.domain.json import JsonObject, JsonValue
from host.domain.order_keys import NoKeyError
from host.entities.entity_types import EntityType
from host.entities.queries import NamedQuery
from host.ports.requests import (
    as_object,
    canonical_text,
    check_fields,
    checked_text,
    invalid_request,
    take_int,
    take_list,
    take_object,
    take_text,
    take_text_or_null,
)
from sandbox.host_api import size

ENTITIES_MAX = size("persistence.write", "entities")
KEY_CHARACTERS_MAX = size("persistence.write", "key")
KEY_BYTES_MAX = 2_000
"""UTF-8 bytes of type and key together: an index row in PostgreSQL has at most 2,704 bytes.
"""
VALUE_BYTES_MAX = size("persistence.write", "value")
ANSWER_BYTES_MAX = size("persistence.read", "results")
PAGE_MAX = size("persistence.read", "limit")
_TYPE_CHARACTERS_MAX = 255
_KEY_FIELDS_MAX = 16
_QUERY_NAME_CHARACTERS_MAX = 128
_DEDUP_ID_CHARACTERS_MAX = 128
_OFFSET_MAX = 2**53 - 1


class WriteOp(StrEnum):
    PERSIST = "persist"
    MERGE = "merge"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One entity of a request. `value` is canonical JSON, None if the entity is to be removed."""

    type: EntityType
    key: str
    value: str | None
    sort_keys: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    op: WriteOp
    entities: tuple[Entity, ...]
    dedup_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Find:
    type: EntityType
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FindAll:
    type: EntityType
    offset: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQuery:
    """A call of a named query. `values` are its statement's parameters."""

    type: EntityType
    query: NamedQuery
    values: Mapping[str, object]
    offset: int
    limit: int


Types = Mapping[str, EntityType]


def parse_write(types: Types, request: JsonObject) -> Write:
    """Read a `write` request.

    Raises:
        CapabilityError: `request-invalid`, `entity-type-unknown`, `entity-too-large`,
            `entity-invalid`.
    """
    check_fields(request, ("op", "entities", "dedupId"))
    name = take_text(request, "op", characters_max=16)
    try:
        op = WriteOp(name)
    except ValueError as exc:
        raise invalid_request(
            f"field 'op' is {name!r}; operations are {', '.join(WriteOp)}"
        ) from exc
    return Write(
        op=op,
        entities=tuple(
            _entity(op, types, as_object(item, "entities"))
            for item in take_list(request, "entities", length_max=ENTITIES_MAX)
        ),
        dedup_id=take_text_or_null(request, "dedupId", characters_max=_DEDUP_ID_CHARACTERS_MAX),
    )


def parse_read(types: Types, request: JsonObject) -> Find | FindAll | RunQuery:
    """Read a `read` request.

    Raises:
        CapabilityError: `request-invalid`, `entity-type-unknown`, `query-unknown`,
            `query-parameter`.
    """
    op = take_text(request, "op", characters_max=16)
    if op == "find":
        check_fields(request, ("op", "type", "keys"))
        keys = take_list(request, "keys", length_max=ENTITIES_MAX)
        entity = _type(types, request)
        return Find(
            type=entity,
            keys=tuple(_key(entity, key, f"'keys'[{index}]") for index, key in enumerate(keys)),
        )
    if op == "find-all":
        check_fields(request, ("op", "type", "offset", "limit"))
        return FindAll(
            type=_type(types, request),
            offset=take_int(request, "offset", minimum=0, maximum=_OFFSET_MAX),
            limit=take_int(request, "limit", minimum=1, maximum=PAGE_MAX),
        )
    if op == "query":
        return _query(types, request)
    raise invalid_request(f"field 'op' is {op!r}; operations are find, find-all, query")


def _query(types: Types, request: JsonObject) -> RunQuery:
    check_fields(request, ("op", "type", "query", "parameters", "offset", "limit"))
    entity = _type(types, request)
    name = take_text(request, "query", characters_max=_QUERY_NAME_CHARACTERS_MAX)
    query = entity.queries.get(name)
    if query is None:
        known = ", ".join(sorted(entity.queries)) or "none"
        raise CapabilityError(
            "query-unknown", f"entity {entity.name} declares no query {name!r}; it has {known}"
        )
    return RunQuery(
        type=entity,
        query=query,
        values=query.bound(entity.name, take_object(request, "parameters")),
        offset=take_int(request, "offset", minimum=0, maximum=_OFFSET_MAX),
        limit=take_int(request, "limit", minimum=0, maximum=PAGE_MAX),
    )


def _type(types: Types, request: JsonObject) -> EntityType:
    name = take_text(request, "type", characters_max=_TYPE_CHARACTERS_MAX)
    entity = types.get(name)
    if entity is None:
        raise CapabilityError(
            "entity-type-unknown",
            f"entity type {name!r} is not declared; declared are {', '.join(sorted(types))}",
        )
    return entity


def _entity(op: WriteOp, types: Types, item: JsonObject) -> Entity:
    check_fields(item, ("type", "key", "value"))
    entity = _type(types, item)
    key = _key(entity, item.get("key"), "'key'")
    if op is WriteOp.REMOVE:
        return Entity(type=entity, key=key, value=None)
    text = _value(entity, key, item.get("value"))
    try:
        keys = entity.sort_keys(item.get("value"))
    except NoKeyError as exc:
        raise CapabilityError("entity-invalid", f"entity {entity.name} {key!r}: {exc}") from exc
    return Entity(type=entity, key=key, value=text, sort_keys=keys)


def _key(entity: EntityType, value: JsonValue, field: str) -> str:
    """The stored text of a key: a string itself, and canonical JSON of any other value."""
    if isinstance(value, str):
        text = checked_text(value, field, KEY_CHARACTERS_MAX)
    elif isinstance(value, bool | int):
        text = canonical_text(value, field)
    elif isinstance(value, list | tuple) and 1 <= len(value) <= _KEY_FIELDS_MAX:
        if not all(isinstance(part, str | bool | int) for part in value):
            raise invalid_request(f"field {field} lists texts, whole numbers, true or false")
        text = canonical_text(value, field)
    else:
        raise invalid_request(
            f"field {field} must be a text, a whole number, true or false,"
            f" or a list of 1 to {_KEY_FIELDS_MAX} of these"
        )
    text = checked_text(text, field, KEY_CHARACTERS_MAX)
    size = len(entity.name.encode()) + len(text.encode())
    if size > KEY_BYTES_MAX:
        raise invalid_request(
            f"field {field} and its type have {size} bytes in UTF-8, at most {KEY_BYTES_MAX}"
        )
    return text


def _value(entity: EntityType, key: str, value: JsonValue) -> str:
    name = entity.name
    if value is None:
        raise invalid_request(f"entity {name} {key!r} has no value")
    # Canonical text is at least half as long as this one, and takes much longer to make.
    _check_size(name, key, len(json.dumps(value, ensure_ascii=False, separators=(",", ":"))) // 2)
    text = canonical_text(value, f"'value' of {name} {key!r}")
    _check_size(name, key, len(text.encode()))
    problem = entity.problem(value)
    if problem is not None:
        raise CapabilityError("entity-invalid", f"entity {name} {key!r}: {problem}")
    return text


def _check_size(name: str, key: str, size: int) -> None:
    if size > VALUE_BYTES_MAX:
        raise CapabilityError(
            "entity-too-large",
            f"entity {name} {key!r} has {size} bytes, at most {VALUE_BYTES_MAX} are stored",
        )
