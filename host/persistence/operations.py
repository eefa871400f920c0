"""Requests of the `persistence` interface as values, read and limited."""

from dataclasses import dataclass
from enum import StrEnum

from host.domain.json import JsonObject, JsonValue
from host.domain.packages import CpiRecord
from host.ports.capability import CapabilityError
from host.ports.requests import (
    as_object,
    canonical_text,
    check_fields,
    invalid_request,
    take_int,
    take_list,
    take_text,
    take_text_or_null,
    take_texts,
)

ENTITIES_MAX = 1000
KEY_CHARACTERS_MAX = 1024
VALUE_BYTES_MAX = 1024 * 1024
ANSWER_BYTES_MAX = 3 * 1024 * 1024
PAGE_MAX = 1000
_TYPE_CHARACTERS_MAX = 255
_DEDUP_ID_CHARACTERS_MAX = 128
_OFFSET_MAX = 2**53 - 1


class WriteOp(StrEnum):
    PERSIST = "persist"
    MERGE = "merge"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One entity of a request. `value` is canonical JSON, None when it is to be removed."""

    type: str
    key: str
    value: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    op: WriteOp
    entities: tuple[Entity, ...]
    dedup_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Find:
    type: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FindAll:
    type: str
    offset: int
    limit: int


def parse_write(cpi: CpiRecord, request: JsonObject) -> Write:
    """Read a `write` request.

    Raises:
        CapabilityError: `invalid-request`, `entity-type-unknown`, `entity-too-large`.
    """
    check_fields(request, ("op", "entities", "dedupId"))
    name = take_text(request, "op", characters_max=16)
    try:
        op = WriteOp(name)
    except ValueError as exc:
        raise invalid_request(
            f"field 'op' is {name!r}; operations are {', '.join(WriteOp)}"
        ) from exc
    types = declared_types(cpi)
    return Write(
        op=op,
        entities=tuple(
            _entity(op, types, as_object(item, "entities"))
            for item in take_list(request, "entities", length_max=ENTITIES_MAX)
        ),
        dedup_id=take_text_or_null(request, "dedupId", characters_max=_DEDUP_ID_CHARACTERS_MAX),
    )


def parse_read(cpi: CpiRecord, request: JsonObject) -> Find | FindAll:
    """Read a `read` request.

    Raises:
        CapabilityError: `invalid-request`, `entity-type-unknown`.
    """
    op = take_text(request, "op", characters_max=16)
    if op == "find":
        check_fields(request, ("op", "type", "keys"))
        return Find(
            type=_type(declared_types(cpi), request),
            keys=tuple(
                take_texts(
                    request, "keys", length_max=ENTITIES_MAX, characters_max=KEY_CHARACTERS_MAX
                )
            ),
        )
    if op == "find-all":
        check_fields(request, ("op", "type", "offset", "limit"))
        return FindAll(
            type=_type(declared_types(cpi), request),
            offset=take_int(request, "offset", minimum=0, maximum=_OFFSET_MAX),
            limit=take_int(request, "limit", minimum=1, maximum=PAGE_MAX),
        )
    raise invalid_request(f"field 'op' is {op!r}; operations are find, find-all")


def declared_types(cpi: CpiRecord) -> frozenset[str]:
    """Entity types that the CPKs of a CPI declare."""
    return frozenset(name for cpk in cpi.cpks for name in cpk.entity_types)


def _type(types: frozenset[str], request: JsonObject) -> str:
    name = take_text(request, "type", characters_max=_TYPE_CHARACTERS_MAX)
    if name not in types:
        raise CapabilityError(
            "entity-type-unknown",
            f"entity type {name!r} is not declared; declared are {', '.join(sorted(types))}",
        )
    return name


def _entity(op: WriteOp, types: frozenset[str], item: JsonObject) -> Entity:
    check_fields(item, ("type", "key", "value"))
    name = _type(types, item)
    key = take_text(item, "key", characters_max=KEY_CHARACTERS_MAX)
    if op is WriteOp.REMOVE:
        return Entity(type=name, key=key, value=None)
    return Entity(type=name, key=key, value=_value(name, key, item.get("value")))


def _value(name: str, key: str, value: JsonValue) -> str:
    if value is None:
        raise invalid_request(f"entity {name} {key!r} has no value")
    text = canonical_text(value, f"'value' of {name} {key!r}")
    size = len(text.encode())
    if size > VALUE_BYTES_MAX:
        raise CapabilityError(
            "entity-too-large",
            f"entity {name} {key!r} has {size} bytes, at most {VALUE_BYTES_MAX} are stored",
        )
    return text
