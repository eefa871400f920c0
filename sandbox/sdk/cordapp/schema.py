"""JSON Schema (2020-12) of type hints, and the codec between values and JSON.

What has a form: None, bool, int (text beyond 2^53-1), float, str, bytes (base64), Decimal,
datetime, date, time, timedelta and UUID (text), Enum, Literal, unions, list, tuple, set, frozenset,
dict with keys of text, integers, enums, UUIDs or dates, dataclasses, NamedTuple and TypedDict, also
generic and recursive ones, NewType, Annotated with constraints. A dataclass
field's metadata `json` renames it.
A class may have a form of its own: `__to_json__`, `__from_json__` and `__json_schema__`.

`form_of(hint)` is the form of a value whose type both sides know: of a field, a state, an entity or
a flow's input. Of a message, the sender knows the value alone: `to_json(value)` says the types that
JSON does not have in `$type`, and `from_json(hint, ..)` reads both.
"""

from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum, Flag
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from cordapp.constraints import ConstrainedForm, Constraint, applies, keywords_of
from cordapp.containers import (
    ChoiceForm,
    DictForm,
    FixedTupleForm,
    ListForm,
    OwnForm,
    SetForm,
    TupleForm,
)
from cordapp.forms import INTEGER_MAX, CodecError, Definitions, Form, SchemaError, dumps
from cordapp.messages import AnyForm, SentForm, received
from cordapp.records import RecordForm, is_record
from cordapp.registry import name_of
from cordapp.texts import SCALARS
from cordapp.unions import UnionForm

__all__ = [
    "INTEGER_MAX",
    "CodecError",
    "Constraint",
    "SchemaError",
    "dumps",
    "form_of",
    "from_json",
    "plain_json",
    "schema_of",
    "to_json",
]

_LISTS = (list, Sequence, MutableSequence)
_DICTS = (dict, Mapping, MutableMapping)
_SETS = {set: False, frozenset: True, AbstractSet: True}


class _Sent:
    """Stands for a type that the sender of a message does not know."""


class _Untold:
    """Stands for a type that nobody is told."""


def schema_of(hint: Any) -> dict[str, Any]:
    """The JSON Schema of a type hint.

    Raises:
        SchemaError: the hint has no JSON form.
    """
    defs = Definitions()
    found = form_of(hint).schema(defs)
    if not defs.schemas:
        return found
    name = str(found.get("$ref", "")).removeprefix("#/$defs/")
    return {**defs.schemas.get(name, found), "$defs": defs.schemas}


def to_json(value: Any, hint: Any = _Sent) -> Any:
    """The JSON form of a value: that of `hint`, or one that names the types JSON does not have.

    Raises:
        CodecError: a part of the value has no JSON form, or is none of `hint`.
        SchemaError: the hint has no JSON form.
    """
    return form_of(hint).encode(value, "$")


def from_json(hint: Any, value: Any, path: str = "$") -> Any:
    """The value of type `hint` that `to_json` wrote, told the hint or not.

    Raises:
        CodecError: `value` does not fit; the error names the place.
        SchemaError: the hint has no JSON form.
    """
    return received(form_of(hint), value, path)


def plain_json(value: Any) -> Any:
    """The JSON form of a value without the names of types, for readers that know them.

    Raises:
        CodecError: a part of the value has no JSON form.
    """
    return form_of(_Untold).encode(value, "$")


def sent_form(hint: Any) -> Form:
    """The form of a type whose generic parameters its sender does not know.

    Raises:
        SchemaError: there is none.
    """
    return form_of(_with(hint, _Sent))


def form_of(hint: Any) -> Form:
    """The form of a type hint.

    Raises:
        SchemaError: there is none.
    """
    try:
        frozenset((hint,))
    except TypeError:  # Annotated with a mapping cannot be hashed
        return _made(hint)
    return _kept(hint)


@cache
def _kept(hint: Any) -> Form:
    return _made(hint)


def _made(hint: Any) -> Form:
    hint, metadata = _unwrapped(hint)
    if not metadata or hint is _Sent:
        return _plain(hint)
    if get_origin(hint) in (Union, UnionType):
        return _constrained_union(hint, metadata)
    form = _plain(hint)
    constraints, remarks = keywords_of(metadata, form)
    return ConstrainedForm(form, constraints, remarks) if constraints or remarks else form


def _constrained_union(hint: Any, metadata: Sequence[Any]) -> Form:
    """Each constraint holds for the alternatives for which it has a meaning."""
    arms, remarks = list[Form](), dict[str, Any]()
    wanted, used = set[str](), set[str]()
    for arm in map(form_of, _arms(hint)):
        constraints, remarks = keywords_of(metadata, arm)
        apt = {n: v for n, v in constraints.items() if arm.tag != "none" and applies(n, arm)}
        wanted |= constraints.keys()
        used |= apt.keys()
        arms.append(ConstrainedForm(arm, apt, {}) if apt else arm)
    if wanted - used:
        raise SchemaError(f"{min(wanted - used)} has no meaning for {_text(hint)}")
    union = UnionForm(arms, _text(hint))
    return ConstrainedForm(union, {}, remarks) if remarks else union


def _plain(hint: Any) -> Form:  # noqa: PLR0911  # one return per kind
    if hint in (_Sent, _Untold):
        return SentForm(lambda cls: form_of(_with(cls, hint)), names_types=hint is _Sent)
    if hint in (Any, object):
        return AnyForm()
    if hint in SCALARS:
        return SCALARS[hint]
    origin, args = get_origin(hint) or hint, get_args(hint)
    if origin is Literal:
        parts = _literals(args)
        if len(parts) == 1:
            return ChoiceForm(args, _text(hint))
        return UnionForm([*map(form_of, parts)], _text(hint))
    if origin in (Union, UnionType):
        arms = _arms(hint)
        unknown = [arm for arm in arms if arm in (_Sent, _Untold)]
        return form_of(unknown[0]) if unknown else UnionForm([*map(form_of, arms)], _text(hint))
    found = _container(hint, origin, args) if args or hint is not origin else None
    return found or _class(hint, origin, args)


def _container(  # noqa: PLR0911  # one return per kind
    hint: Any, origin: Any, args: tuple[Any, ...]
) -> Form | None:
    if origin in _LISTS:
        return ListForm(form_of(args[0]), _text(hint))
    if origin in _SETS:
        return SetForm(form_of(args[0]), _text(hint), frozen=_SETS[origin])
    if origin is tuple and len(args) == 2 and args[1] is ...:
        return TupleForm(form_of(args[0]), _text(hint))
    if origin is tuple:
        return FixedTupleForm([*map(form_of, args)], _text(hint))
    if origin in _DICTS:
        if args[0] in (_Sent, _Untold):
            return form_of(args[0])
        return DictForm(form_of(args[0]), form_of(args[1]), _text(hint))
    return None


def _class(hint: Any, origin: Any, args: tuple[Any, ...]) -> Form:
    if isinstance(origin, type) and issubclass(origin, Enum):
        if issubclass(origin, Flag):
            raise SchemaError(f"{origin.__qualname__}: a combination of flags has no JSON form")
        return ChoiceForm(tuple(origin), name_of(origin))
    if hasattr(origin, "__from_json__") or hasattr(origin, "__to_json__"):
        return OwnForm(origin, name_of(origin))
    if is_record(origin):
        if getattr(origin, "__parameters__", ()) and not args:
            raise SchemaError(f"{origin.__qualname__} is generic: name its parameters")
        return RecordForm(origin, args, _text(hint), form_of)
    raise SchemaError(f"{_shown(hint)} has no JSON form{_advice(hint)}")


def _with(cls: Any, unknown: type) -> Any:
    """A class as a hint; a generic one with `unknown` for each of its parameters."""
    parameters = getattr(cls, "__parameters__", ())
    return cls[(unknown,) * len(parameters)] if parameters and is_record(cls) else cls


def _arms(hint: Any) -> list[Any]:
    """The alternatives of a union, those of unions with a name of their own included."""
    arms: list[Any] = []
    for arm in get_args(hint):
        bare, metadata = _unwrapped(arm)
        if get_origin(bare) in (Union, UnionType) and not metadata:
            arms += _arms(bare)
        elif get_origin(bare) is Literal and not metadata:
            arms += _literals(get_args(bare))
        else:
            arms.append(arm)
    return arms


def _literals(values: tuple[Any, ...]) -> list[Any]:
    """One Literal for the values that JSON has, and one for those of each other type."""
    kinds: dict[Any, list[Any]] = {}
    for value in values:
        is_native = value is None or type(value) in (bool, int, str)
        kinds.setdefault(None if is_native else type(value), []).append(value)
    return [Literal[tuple(found)] for found in kinds.values()]


def _unwrapped(hint: Any) -> tuple[Any, list[Any]]:
    """The type behind NewType, Annotated and type aliases, and what Annotated adds to it."""
    metadata: list[Any] = []
    while True:
        if get_origin(hint) is Annotated:
            metadata += hint.__metadata__
            hint = hint.__origin__
        elif hasattr(hint, "__supertype__"):
            hint = hint.__supertype__
        elif type(hint).__name__ == "TypeAliasType":
            hint = hint.__value__
        else:
            return (NoneType if hint is None else hint), metadata


def _text(hint: Any) -> str:
    """A hint as the name of its type in `$type` and in messages."""
    hint, _ = _unwrapped(hint)
    if hint in SCALARS:
        return SCALARS[hint].tag
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " | ".join(_text(arm) for arm in args)
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, args))}]"
    base = hint if origin is None else origin
    name = name_of(base) if isinstance(base, type) else _shown(base)
    name = name.removeprefix("builtins.").removeprefix("collections.abc.")
    if not args or _Sent in args or _Untold in args:
        return name
    return f"{name}[{', '.join('...' if arg is ... else _text(arg) for arg in args)}]"


def _shown(hint: Any) -> str:
    return name_of(hint).removeprefix("builtins.") if isinstance(hint, type) else repr(hint)


def _advice(hint: Any) -> str:
    if hint in (list, tuple, set, frozenset, dict, Sequence, Mapping):
        return f": say what it contains, such as {hint.__name__}[..]"
    if isinstance(hint, TypeVar):
        return ": the type parameter has no value"
    if isinstance(hint, str):
        return ": write the class itself"
    return ": write a dataclass for it" if isinstance(hint, type) else ""
