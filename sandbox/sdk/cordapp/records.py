"""JSON forms of dataclasses, named tuples and typed dicts: objects with known members.

A generic class is one form for each choice of its parameters. A class may contain itself: the
forms of fields are made when they are first needed.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, InitVar, dataclass, fields, is_dataclass
from functools import cached_property
from typing import (
    Any,
    ClassVar,
    Generic,
    NotRequired,
    Required,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from cordapp.forms import (
    TAG,
    CodecError,
    Definitions,
    Form,
    Read,
    SchemaError,
    decoded,
    expect,
)
from cordapp.registry import name_of

MakeForm = Callable[[Any], Form]
"""The form of a hint."""


ABSENT = object()


@dataclass(frozen=True, eq=False)
class Member:
    """A field. `default` is ABSENT where there is none, or one that is made anew each time."""

    name: str
    wire: str
    hint: Any
    is_required: bool
    default: Any = ABSENT


def is_record(cls: Any) -> bool:
    """Whether a class is one whose objects have known members."""
    return isinstance(cls, type) and (is_dataclass(cls) or is_named_tuple(cls) or is_typeddict(cls))


def is_named_tuple(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, tuple) and hasattr(cls, "_fields")


class RecordForm(Form):
    """A JSON object with one member for each field."""

    kinds = frozenset({"object"})

    def __init__(self, cls: Any, arguments: Sequence[Any], tag: str, make: MakeForm) -> None:
        self.cls = cls
        self.tag = tag
        self._arguments = tuple(arguments)
        self._make = make
        self.takes_more = getattr(cls, "__json_open__", False)
        self.is_dict = is_typeddict(cls)
        self.is_hashable = not self.is_dict and cls.__hash__ is not None

    @cached_property
    def members(self) -> Sequence[Member]:
        """The fields; of a generic class with its parameters' values."""
        try:
            found = tuple(_members(self.cls))
        except NameError as exc:
            raise SchemaError(f"{exc}, when the code runs", self.cls) from exc
        wires = [member.wire for member in found]
        for member in found:
            if wires.count(member.wire) > 1 or member.wire.startswith("$"):
                problem = f"the name {member.wire!r} is in use"
                raise SchemaError(problem, self.cls, member.name)
        return found

    @cached_property
    def forms(self) -> Mapping[str, Form]:
        """The fields' forms, by their names in JSON."""
        return {member.wire: self.form(member) for member in self.members}

    @property
    def hashed(self) -> Iterable[Form]:
        """Those that the hash of a tuple or dataclass is made of; a class may have its own."""
        code = getattr(self.cls.__hash__, "__code__", None)
        if code is not None and not code.co_filename.startswith("<"):
            return ()
        left = {
            name
            for name, field in getattr(self.cls, "__dataclass_fields__", {}).items()
            if not (field.compare if field.hash is None else field.hash)
        }
        return [self.forms[m.wire] for m in self.members if m.name not in left]

    def form(self, member: Member) -> Form:
        """The form of one field.

        Raises:
            SchemaError: it has none; the error names class and field.
        """
        hint = member.hint
        try:
            if _is_parametrised(hint):
                known = _arguments_of(self.cls, self._arguments, member.name)
                hint = substituted(hint, known)
            return self._make(hint)
        except SchemaError as exc:
            if exc.owner is not None and exc.field is not None:
                raise
            raise SchemaError(exc.problem, self.cls, member.name) from exc

    def schema(self, defs: Definitions) -> dict[str, Any]:
        found: dict[str, Any] = defs.define((self, False), lambda: self._object(defs, None))
        return found

    def tagged_schema(self, defs: Definitions) -> dict[str, Any]:
        found: dict[str, Any] = defs.define((self, True), lambda: self._object(defs, self.tag))
        return found

    def _object(self, defs: Definitions, tag: str | None) -> dict[str, Any]:
        properties: dict[str, Any] = {} if tag is None else {TAG: {"const": tag}}
        required = list(properties)
        for member in self.members:
            properties[member.wire] = self._member_schema(member, defs)
            if member.is_required:
                required.append(member.wire)
        found = {"title": self.cls.__name__, "type": "object", "properties": properties}
        if required:
            found["required"] = required
        if not self.takes_more:
            found["additionalProperties"] = False
        return found

    def check_default(self, member: Member) -> None:
        """Check that a field's default is of its type.

        Raises:
            SchemaError: it is not; the error names class and field.
        """
        try:
            if member.default is not ABSENT:
                self.form(member).encode(member.default, "the default")
        except CodecError as exc:
            raise SchemaError(str(exc), self.cls, member.name) from exc

    def _member_schema(self, member: Member, defs: Definitions) -> dict[str, Any]:
        form = self.forms[member.wire]
        self.check_default(member)
        try:
            found = form.schema(defs)
            if member.default is ABSENT:
                return found
            return {**found, "default": form.encode(member.default, "the default")}
        except SchemaError as exc:
            if exc.field is not None:
                raise
            raise SchemaError(exc.problem, self.cls, member.name) from exc

    def holds(self, value: object) -> bool:
        return type(value) is (dict if self.is_dict else self.cls)

    def encode(self, value: Any, path: str) -> Any:
        expect(self.holds(value), self.cls.__name__, value, path)
        if self.is_dict:
            return self._encode_dict(value, path)
        return {
            member.wire: self.forms[member.wire].encode(
                getattr(value, member.name), f"{path}.{member.wire}"
            )
            for member in self.members
        }

    def _encode_dict(self, value: Mapping[str, Any], path: str) -> dict[str, Any]:
        known = {member.name for member in self.members}
        for name in value:
            expect(name in known, f"a member of {self.cls.__name__}", name, path)
        for member in self.members:
            if member.is_required and member.name not in value:
                raise CodecError(f"{path}.{member.wire}", "is missing")
        return {
            m.wire: self.forms[m.wire].encode(value[m.name], f"{path}.{m.wire}")
            for m in self.members
            if m.name in value
        }

    def decode(self, value: Any, path: str, read: Read = decoded) -> Any:
        # The sender of a generic class knows the types of its members without type parameters, that
        # of a typed dict none of them.
        expect(isinstance(value, dict), "an object", value, path)
        for key in value:
            if key not in self.forms and not self.takes_more:
                raise CodecError(f"{path}.{key}", f"{self.cls.__name__} has no such field")
        arguments = {}
        for member in self.members:
            if member.wire in value:
                place = f"{path}.{member.wire}"
                reader = read if self.is_dict or _is_parametrised(member.hint) else decoded
                arguments[member.name] = reader(self.forms[member.wire], value[member.wire], place)
            elif member.is_required:
                raise CodecError(f"{path}.{member.wire}", "is missing")
        return arguments if self.is_dict else self.cls(**arguments)

    def tagged(self, value: Any, path: str) -> dict[str, Any]:
        return {TAG: self.tag, **self.encode(value, path)}

    def untagged(self, value: Mapping[str, Any], path: str, read: Read = decoded) -> Any:
        return self.decode({key: item for key, item in value.items() if key != TAG}, path, read)

    @property
    def sent_tag(self) -> str:
        return name_of(self.cls)


def substituted(hint: Any, known: Mapping[Any, Any]) -> Any:
    """`hint` with values for its type parameters."""
    if isinstance(hint, TypeVar):
        return known.get(hint, hint)
    return hint[tuple(known.get(p, p) for p in hint.__parameters__)]


def _is_parametrised(hint: Any) -> bool:
    """Whether a hint contains type parameters; a generic class by itself does not."""
    generic = bool(getattr(hint, "__parameters__", ())) and not isinstance(hint, type)
    return generic or isinstance(hint, TypeVar)


def _arguments_of(cls: Any, arguments: Sequence[Any], field: str) -> Mapping[Any, Any]:
    """Values of the type parameters in the class that declares `field`, be it `cls` or a base."""
    known = dict(zip(getattr(cls, "__parameters__", ()), arguments, strict=False))
    if field in inspect.get_annotations(cls):
        return known
    for base in getattr(cls, "__orig_bases__", cls.__bases__):
        origin = get_origin(base) or base
        if origin is Generic or not isinstance(origin, type):
            continue
        given = [substituted(a, known) if _is_parametrised(a) else a for a in get_args(base)]
        if any(field in inspect.get_annotations(above) for above in origin.__mro__):
            return _arguments_of(origin, given, field)
    return known


def _members(cls: Any) -> Iterator[Member]:
    hints = get_type_hints(cls, include_extras=True)
    if is_typeddict(cls):
        yield from _of_typed_dict(cls, hints)
    elif is_named_tuple(cls):
        for name in cls._fields:
            if name not in hints:
                raise SchemaError("has no type: write a class of typing.NamedTuple", cls, name)
            default = cls._field_defaults.get(name, ABSENT)
            yield Member(name, name, hints[name], default is ABSENT, default)
    else:
        yield from _of_dataclass(cls, hints)


def _of_typed_dict(cls: Any, hints: Mapping[str, Any]) -> Iterator[Member]:
    for name, hint in hints.items():
        is_required, inner = name in cls.__required_keys__, hint
        while (origin := get_origin(inner)) in (Required, NotRequired) or _is_read_only(origin):
            is_required = is_required if _is_read_only(origin) else origin is Required
            (inner,) = get_args(inner)
        yield Member(name, name, inner, is_required)


def _is_read_only(origin: Any) -> bool:
    return getattr(origin, "_name", None) == "ReadOnly"


def _of_dataclass(cls: Any, hints: Mapping[str, Any]) -> Iterator[Member]:
    for name, hint in hints.items():
        if isinstance(hint, InitVar):
            raise SchemaError("an InitVar has no value that could be written", cls, name)
        is_field = get_origin(hint) is not ClassVar and hint is not ClassVar
        if is_field and name not in cls.__dataclass_fields__:
            raise SchemaError("write @dataclass(frozen=True) above", cls, name)
    for field in fields(cls):
        if field.init:
            has_default = field.default is not MISSING
            is_required = not has_default and field.default_factory is MISSING
            wire = field.metadata.get("json", field.name)
            if not isinstance(wire, str) or not wire:
                problem = f"metadata `json` is the field's name in JSON, a text, not {wire!r}"
                raise SchemaError(problem, cls, field.name)
            default = field.default if has_default else ABSENT
            yield Member(field.name, wire, hints[field.name], is_required, default)
