"""JSON forms of enums, literals, lists, tuples, sets, dicts, and of classes with their own."""

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any

from cordapp.forms import (
    DIGITS_MAX,
    Definitions,
    Form,
    IntForm,
    Read,
    SchemaError,
    decoded,
    dumps,
    expect,
    mismatch,
)
from cordapp.registry import name_of
from cordapp.texts import SCALARS, DateForm, StrForm, UuidForm


def comparable(value: Any) -> str:
    """The text of a JSON value, equal for equal values: JSON's 1.0 is 1."""
    whole = isinstance(value, float) and value.is_integer()
    return dumps(int(value) if whole else value)


class ChoiceForm(Form):
    """One of a few values: those of a Literal, or an enum's members.

    A member's form is its value's, or its name where a value of the enum is no scalar.
    """

    def __init__(self, members: Sequence[Any], tag: str) -> None:
        values = [m.value if isinstance(m, Enum) else m for m in members]
        forms = [SCALARS.get(_scalar_type(value)) for value in values]
        if None in forms:
            if not all(isinstance(m, Enum) for m in members):
                raise SchemaError(f"{tag} has a value that is no scalar")
            values, forms = [m.name for m in members], [SCALARS[str]] * len(members)
        self.tag = tag
        self._members = tuple(members)
        self._member_tags = {
            name_of(type(m)) if isinstance(m, Enum) else SCALARS[type(m)].tag for m in members
        }
        self._plain = [form.encode(v, "$") for v, form in zip(values, forms, strict=True) if form]
        self._places = {comparable(plain): n for n, plain in enumerate(self._plain)}
        if len(self._places) < len(members):
            raise SchemaError(f"two values of {tag} have the same JSON form")
        enums = any(isinstance(m, Enum) for m in members)
        self.is_native = not enums and all(form is not None and form.is_native for form in forms)
        self.kinds = frozenset(_kind(plain) for plain in self._plain)
        self.choices = frozenset(self._plain) if self.kinds <= {"string"} else frozenset()
        self.texts = {
            p if isinstance(p, str) else dumps(p): m
            for p, m in zip(self._plain, self._members, strict=True)
        }
        """The members by the texts that stand for them as keys of a dict."""
        self.has_texts = len(self.texts) == len(members)

    def is_called(self, tag: object) -> bool:
        return tag == self.tag or tag in self._member_tags

    def schema(self, _defs: Definitions) -> dict[str, Any]:
        return {"enum": list(self._plain)}

    def holds(self, value: object) -> bool:
        return any(m is value or (type(m) is type(value) and m == value) for m in self._members)

    def encode(self, value: Any, path: str) -> Any:
        for member, plain in zip(self._members, self._plain, strict=True):
            if member is value or (type(member) is type(value) and member == value):
                return plain
        raise mismatch(f"one of {dumps(self._plain)}", value, path)

    def decode(self, value: Any, path: str, _read: Read = decoded) -> Any:
        place = None if isinstance(value, (list, dict)) else self._places.get(comparable(value))
        expect(place is not None, f"one of {dumps(self._plain)}", value, path)
        return self._members[place or 0]


def _scalar_type(value: Any) -> Any:
    kind = type(value)
    return next((base for base in (str, int) if issubclass(kind, base) and kind is not bool), kind)


def _kind(plain: Any) -> str:
    for kind, types in (("null", type(None)), ("boolean", bool), ("string", str)):
        if isinstance(plain, types):
            return kind
    return "number"


class ListForm(Form):
    """A list; it stands for `Sequence`, too."""

    kinds, is_hashable = frozenset({"array"}), False

    def __init__(self, item: Form, tag: str) -> None:
        self.item = item
        self.tag = tag
        self.make: Callable[[Any], Any] = list

    @property
    def sent_tag(self) -> str:
        return str(getattr(self.make, "__name__", ""))

    def schema(self, defs: Definitions) -> dict[str, Any]:
        return {"type": "array", "items": self.item.schema(defs)}

    def holds(self, value: object) -> bool:
        return type(value) is self.make

    def encode(self, value: Any, path: str) -> Any:
        expect(isinstance(value, (list, tuple)), f"a {self.sent_tag}", value, path)
        return [self.item.encode(item, f"{path}[{n}]") for n, item in enumerate(value)]

    def decode(self, value: Any, path: str, read: Read = decoded) -> Any:
        expect(isinstance(value, list), "an array", value, path)
        return self.make(read(self.item, item, f"{path}[{n}]") for n, item in enumerate(value))


class TupleForm(ListForm):
    """A tuple of any length."""

    def __init__(self, item: Form, tag: str) -> None:
        super().__init__(item, tag)
        self.make = tuple
        self.is_hashable = item.is_hashable

    @property
    def hashed(self) -> Iterable[Form]:
        return (self.item,)


def _is_hashable(form: Form, seen: set[Form]) -> bool:
    new = {part for part in form.hashed if part not in seen}
    seen |= new
    return form.is_hashable and all(_is_hashable(part, seen) for part in new)


class SetForm(ListForm):
    """A set or frozenset: its elements in the order of their JSON texts, none of them twice."""

    def __init__(self, item: Form, tag: str, *, frozen: bool) -> None:
        super().__init__(item, tag)
        if not item.is_hashable:
            raise SchemaError(f"{tag}: elements of a set have to be hashable")
        self.make = frozenset if frozen else set
        self.is_hashable = frozen

    def schema(self, defs: Definitions) -> dict[str, Any]:
        if not _is_hashable(self.item, set()):  # fields are known here, not before
            raise SchemaError(f"{self.tag}: a field of its elements cannot be hashed")
        return {**super().schema(defs), "uniqueItems": True}

    def encode(self, value: Any, path: str) -> Any:
        expect(isinstance(value, (set, frozenset)), f"a {self.sent_tag}", value, path)
        return sorted((self.item.encode(item, f"{path}[]") for item in value), key=_text)

    def decode(self, value: Any, path: str, read: Read = decoded) -> Any:
        expect(isinstance(value, list), "an array", value, path)
        expect(len({_text(v) for v in value}) == len(value), "each item once", value, path)
        return super().decode(value, path, read)


def _text(value: Any) -> str:
    """Equal for JSON values that JSON Schema takes to be equal."""
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{dumps(k)}:{_text(value[k])}' for k in sorted(value))}}}"
    return comparable(value)


class FixedTupleForm(Form):
    """A tuple with one type for each place."""

    kinds = frozenset({"array"})
    sent_tag = "tuple"

    def __init__(self, items: Sequence[Form], tag: str) -> None:
        self.items = tuple(items)
        self.tag = tag
        self.is_hashable = all(item.is_hashable for item in items)

    @property
    def hashed(self) -> Iterable[Form]:
        return self.items

    def schema(self, defs: Definitions) -> dict[str, Any]:
        count = len(self.items)
        if not count:
            return {"type": "array", "maxItems": 0}
        items = [item.schema(defs) for item in self.items]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": count}

    def holds(self, value: object) -> bool:
        return type(value) is tuple

    def encode(self, value: Any, path: str) -> Any:
        expect(isinstance(value, (list, tuple)), "a tuple", value, path)
        return self._each(lambda form, item, place: form.encode(item, place), value, path)

    def decode(self, value: Any, path: str, read: Read = decoded) -> Any:
        expect(isinstance(value, list), "an array", value, path)
        return tuple(self._each(read, value, path))

    def _each(self, do: Read, value: Any, path: str) -> list[Any]:
        expect(len(value) == len(self.items), f"{len(self.items)} items", value, path)
        pairs = zip(self.items, value, strict=True)
        return [do(form, item, f"{path}[{n}]") for n, (form, item) in enumerate(pairs)]


class DictForm(Form):
    """A dict. Its keys are texts: of str, int, an enum or literal, UUID or date."""

    kinds, is_hashable = frozenset({"object"}), False
    sent_tag = "dict"

    def __init__(self, key: Form, item: Form, tag: str) -> None:
        if not isinstance(key.base, (StrForm, IntForm, ChoiceForm, UuidForm, DateForm)):
            wanted = "str, int, an enum, a Literal, UUID or date"
            raise SchemaError(f"{tag}: a key is {wanted}, not {key.tag}")
        if isinstance(key.base, ChoiceForm) and not key.base.has_texts:
            raise SchemaError(f"{tag}: two keys have the same text")
        self.key, self.item, self.tag = key, item, tag

    def schema(self, defs: Definitions) -> dict[str, Any]:
        plain = {"type": "object", "additionalProperties": self.item.schema(defs)}
        return plain | ({} if type(self.key) is StrForm else {"propertyNames": self._names()})

    def _names(self) -> dict[str, Any]:
        if isinstance(self.key.base, ChoiceForm):
            return {"enum": list(self.key.base.texts)}
        if isinstance(self.key.base, IntForm):
            return {"pattern": "^(0|-?[1-9][0-9]*)$", "maxLength": DIGITS_MAX}
        if isinstance(self.key.base, UuidForm):
            return {"pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
        return self.key.schema(Definitions())

    def holds(self, value: object) -> bool:
        return type(value) is dict

    def encode(self, value: Any, path: str) -> Any:
        expect(hasattr(value, "items") and hasattr(value, "keys"), "a dict", value, path)
        return {
            (name := self._key_text(key, path)): self.item.encode(item, f"{path}.{name}")
            for key, item in value.items()
        }

    def _key_text(self, key: Any, path: str) -> str:
        plain = self.key.encode(key, f"{path} (key)")
        return plain if isinstance(plain, str) else dumps(plain)

    def decode(self, value: Any, path: str, read: Read = decoded) -> Any:
        expect(isinstance(value, dict), "an object", value, path)
        return {
            self._key(name, path): read(self.item, item, f"{path}.{name}")
            for name, item in value.items()
        }

    def from_pairs(self, value: Any, path: str, read: Read) -> Any:
        """The dict of a list of keys and values, as senders write it who know no key type."""
        is_pairs = isinstance(value, list) and all(
            isinstance(pair, list) and len(pair) == 2 for pair in value
        )
        expect(is_pairs, "a list of pairs", value, path)
        return {read(self.key, k, f"{path} (key)"): read(self.item, v, path) for k, v in value}

    def _key(self, name: str, path: str) -> Any:
        if isinstance(self.key.base, ChoiceForm):
            known = self.key.base.texts
            expect(name in known, f"a key out of {dumps(list(known))}", name, path)
            return known[name]
        if isinstance(self.key.base, IntForm):
            digits = name.removeprefix("-")
            fits = digits.isascii() and digits.isdigit() and len(name) <= DIGITS_MAX
            fits = fits and (digits[0] != "0" or name == "0")
            return int(expect(fits, "an integer as a key", name, path))
        key = self.key.decode(name, f"{path} (key)")
        expect(self.key.encode(key, path) == name, "a key in lower case", name, path)
        return key


class OwnForm(Form):
    """A class with `__to_json__`, `__from_json__` and, for its schema, `__json_schema__`."""

    _KINDS = ("null", "boolean", "number", "string", "array", "object")

    def __init__(self, cls: Any, tag: str) -> None:
        self._cls = cls
        self.tag = tag
        declared = dict(getattr(cls, "__json_schema__", {})).get("type")
        kind = {"integer": "number"}.get(str(declared), declared)
        self.kinds = frozenset([kind] if kind in self._KINDS else self._KINDS)
        self.is_hashable = cls.__hash__ is not None

    def schema(self, _defs: Definitions) -> dict[str, Any]:
        if not hasattr(self._cls, "__json_schema__"):
            raise SchemaError(f"{self.tag} has a form of its own: it needs __json_schema__")
        return dict(self._cls.__json_schema__)

    def holds(self, value: object) -> bool:
        return type(value) is self._cls

    def encode(self, value: Any, path: str) -> Any:
        expect(isinstance(value, self._cls), self.tag, value, path)
        if not hasattr(value, "__to_json__"):
            raise mismatch("a value with a JSON form", value, path)
        return value.__to_json__()

    def decode(self, value: Any, path: str, _read: Read = decoded) -> Any:
        return self._cls.__from_json__(value, path)
