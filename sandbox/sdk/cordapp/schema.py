"""JSON Schema (2020-12) of type hints, and the codec between values and JSON.

Understood: None, bool, int, float, str, bytes (base64), Decimal (text), datetime (UTC), Enum,
Literal, unions, list, tuple, dict with text keys, NewType, Annotated (a mapping adds schema
keywords) and dataclasses of these. A dataclass field's metadata `json` renames it on the wire.
Sets are refused: their order would leak into results.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

INTEGER_MAX = 2**53 - 1
"""The largest integer that canonical JSON (RFC 8785) carries; use Decimal beyond it."""

_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_SCALARS: dict[Any, dict[str, Any]] = {
    Any: {},
    object: {},
    NoneType: {"type": "null"},
    bool: {"type": "boolean"},
    int: {"type": "integer", "minimum": -INTEGER_MAX, "maximum": INTEGER_MAX},
    float: {"type": "number"},
    str: {"type": "string"},
    bytes: {"type": "string", "contentEncoding": "base64"},
    Decimal: {"type": "string", "pattern": f"^{_DECIMAL.pattern}$"},
    datetime: {"type": "string", "format": "date-time"},
}


class CodecError(ValueError):
    """A value does not fit its type. `path` names the place, for example `$.items[2].amount`."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path


class SchemaError(TypeError):
    """A type hint has no JSON form."""


def dumps(value: Any) -> str:
    """Compact JSON text of a JSON value.

    Half a character, which no text can hold, is left to JSON's escapes: the host mends it in
    failures and log lines, and refuses it elsewhere.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text


def schema_of(hint: Any, _inside: tuple[type, ...] = ()) -> dict[str, Any]:
    """The JSON Schema of a type hint.

    Raises:
        SchemaError: the hint has no JSON form, or a dataclass contains itself.
    """
    hint, keywords = _unwrap(hint)
    return {**_plain_schema(hint, _inside), **keywords}


def _plain_schema(  # noqa: PLR0911  # one return per kind of hint
    hint: Any, inside: tuple[type, ...]
) -> dict[str, Any]:
    if hint in _SCALARS:
        return _SCALARS[hint]
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": [to_json(a) for a in args]}
    if origin in (Union, UnionType):
        return {"anyOf": [schema_of(a, inside) for a in args]}
    if origin in (list, Sequence) or (origin is tuple and args[-1] is ...):
        return {"type": "array", "items": schema_of(args[0], inside)}
    if origin is tuple:
        items = [schema_of(a, inside) for a in args]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
    if origin in (dict, Mapping) and args[0] is str:
        return {"type": "object", "additionalProperties": schema_of(args[1], inside)}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [to_json(member) for member in hint]}
    if hasattr(hint, "__json_schema__"):
        return dict(hint.__json_schema__)
    if isinstance(hint, type) and is_dataclass(hint):
        return _dataclass_schema(hint, inside)
    raise SchemaError(f"{hint!r} has no JSON form")


def _dataclass_schema(cls: type, inside: tuple[type, ...]) -> dict[str, Any]:
    if cls in inside:
        raise SchemaError(f"dataclass {cls.__qualname__} contains itself")
    properties: dict[str, Any] = {}
    required = []
    for field, hint in _fields(cls):
        wire = _wire_name(field)
        properties[wire] = schema_of(hint, (*inside, cls))
        if _is_required(field):
            required.append(wire)
        elif field.default is not MISSING:
            properties[wire] = {**properties[wire], "default": to_json(field.default)}
    schema: dict[str, Any] = {"title": cls.__name__, "type": "object", "properties": properties}
    if required:
        schema["required"] = required
    if not _is_open(cls):
        schema["additionalProperties"] = False
    return schema


def to_json(value: Any, path: str = "$") -> Any:  # noqa: C901, PLR0911  # one return per kind
    """The JSON form of a value.

    Raises:
        CodecError: a part of the value has no JSON form.
    """
    if hasattr(value, "__to_json__"):
        return value.__to_json__()
    if isinstance(value, Enum):
        return to_json(value.value, path)
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return _number(value, path)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Decimal) and value.is_finite():
        return format(value, "f")
    if isinstance(value, datetime) and value.tzinfo is not None:
        utc = value.astimezone(UTC).replace(tzinfo=None)
        return utc.isoformat(timespec="microseconds") + "Z"
    if is_dataclass(value) and not isinstance(value, type):
        names = [(f.name, _wire_name(f)) for f, _ in _fields(type(value))]
        return {wire: to_json(getattr(value, name), f"{path}.{wire}") for name, wire in names}
    if isinstance(value, (list, tuple)):
        return [to_json(item, f"{path}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: to_json(item, f"{path}.{key}") for key, item in value.items()}
    raise CodecError(path, f"a {type(value).__name__} has no JSON form")


def from_json(hint: Any, value: Any, path: str = "$") -> Any:  # noqa: PLR0911  # one per kind
    """The value of type `hint` whose JSON form is `value`.

    Raises:
        CodecError: `value` does not fit; the error names the place.
    """
    hint, _ = _unwrap(hint)
    if hint in _SCALARS:
        return _scalar(hint, value, path)
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal or (isinstance(hint, type) and issubclass(hint, Enum)):
        return _choice(args or tuple(hint), value, path)
    if origin in (Union, UnionType):
        return _union(args, value, path)
    if origin in (list, Sequence, tuple):
        return _array(origin, args, value, path)
    if origin in (dict, Mapping):
        _expect(isinstance(value, dict), "an object", value, path)
        return {key: from_json(args[1], item, f"{path}.{key}") for key, item in value.items()}
    if hasattr(hint, "__from_json__"):
        return hint.__from_json__(value, path)
    if isinstance(hint, type) and is_dataclass(hint):
        return _dataclass(hint, value, path)
    raise SchemaError(f"{hint!r} has no JSON form")


def _scalar(hint: Any, value: Any, path: str) -> Any:  # noqa: PLR0911  # one per kind
    if hint in (Any, object):
        return value
    if hint is NoneType:
        return _expect(value is None, "null", value, path)
    if hint is bool:
        return _expect(isinstance(value, bool), "a boolean", value, path)
    if hint in (int, float):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        whole = hint is float or isinstance(value, int) or (number and value.is_integer())
        _expect(number and whole, "an integer" if hint is int else "a number", value, path)
        return hint(_number(value, path))
    _expect(isinstance(value, str), "a string", value, path)
    if hint is bytes:
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error:
            raise _mismatch("base64 text", value, path) from None
    if hint is Decimal:
        _expect(_DECIMAL.fullmatch(value) is not None, "a decimal number", value, path)
        return Decimal(value)
    return value if hint is str else _instant(value, path)


def _instant(value: str, path: str) -> datetime:
    try:
        instant = datetime.fromisoformat(value)
    except ValueError as exc:
        raise _mismatch("an instant", value, path) from exc
    _expect(instant.tzinfo is not None, "an instant with time zone", value, path)
    return instant.astimezone(UTC)


def _choice(members: tuple[Any, ...], value: Any, path: str) -> Any:
    for member in members:
        plain = to_json(member)
        if plain == value and type(plain) is type(value):
            return member
    raise _mismatch(f"one of {dumps([to_json(m) for m in members])}", value, path)


def _union(arms: tuple[Any, ...], value: Any, path: str) -> Any:
    problems = []
    for arm in arms:
        try:
            return from_json(arm, value, path)
        except CodecError as exc:
            problems.append(exc)
    # With one real arm (Optional), its own complaint is the useful one.
    if len(problems) == 2 and NoneType in arms:
        raise problems[1 if arms[0] is NoneType else 0]
    raise CodecError(path, "fits no alternative: " + "; ".join(str(p) for p in problems))


def _array(origin: Any, args: tuple[Any, ...], value: Any, path: str) -> Any:
    _expect(isinstance(value, list), "an array", value, path)
    if origin is tuple and args[-1] is not ...:
        _expect(len(value) == len(args), f"{len(args)} items", value, path)
        hints: Sequence[Any] = args
    else:
        hints = [args[0]] * len(value)
    items = [
        from_json(h, v, f"{path}[{i}]") for i, (h, v) in enumerate(zip(hints, value, strict=True))
    ]
    return tuple(items) if origin is tuple else items


def _dataclass(cls: type, value: Any, path: str) -> Any:
    _expect(isinstance(value, dict), "an object", value, path)
    known = {_wire_name(f): (f, hint) for f, hint in _fields(cls)}
    for key in value:
        if key not in known and not _is_open(cls):
            raise CodecError(f"{path}.{key}", f"{cls.__name__} has no such field")
    arguments = {}
    for wire, (field, hint) in known.items():
        if wire in value:
            arguments[field.name] = from_json(hint, value[wire], f"{path}.{wire}")
        elif _is_required(field):
            raise CodecError(f"{path}.{wire}", "is missing")
    return cls(**arguments)


@cache
def _fields(cls: type[Any]) -> tuple[tuple[Field[Any], Any], ...]:
    hints = get_type_hints(cls, include_extras=True)
    found = {f.name: f for f in fields(cls) if f.init}
    for name, hint in hints.items():
        if get_origin(hint) is not ClassVar and name not in cls.__dataclass_fields__:
            raise SchemaError(f"{cls.__qualname__}.{name}: write @dataclass(frozen=True) above")
    return tuple((field, hints[name]) for name, field in found.items())


def _unwrap(hint: Any) -> tuple[Any, dict[str, Any]]:
    keywords: dict[str, Any] = {}
    while True:
        if get_origin(hint) is Annotated:
            for extra in hint.__metadata__:
                keywords.update(extra if isinstance(extra, Mapping) else {})
            hint = hint.__origin__
        elif hasattr(hint, "__supertype__"):
            hint = hint.__supertype__
        else:
            return (NoneType if hint is None else hint), keywords


def _wire_name(field: Field[Any]) -> str:
    return str(field.metadata.get("json", field.name))


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _is_open(cls: type) -> bool:
    return getattr(cls, "__json_open__", False)


def _number(value: float, path: str) -> float:
    if isinstance(value, int) and abs(value) > INTEGER_MAX:
        raise CodecError(path, "an integer beyond 2^53-1 needs Decimal")
    if not math.isfinite(value):
        raise CodecError(path, f"{value} has no JSON form")
    return value


def _expect(fits: object, expected: str, value: Any, path: str) -> Any:
    if not fits:
        raise _mismatch(expected, value, path)
    return value


def _mismatch(expected: str, value: Any, path: str) -> CodecError:
    text = repr(value)
    return CodecError(path, f"expected {expected}, found {text[:40]}{'..' * (len(text) > 40)}")
