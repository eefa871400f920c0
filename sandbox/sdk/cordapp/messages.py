"""JSON of values whose type their sender alone knows: messages, and values of type parameters.

The sender names each type that JSON does not have: `{"$type": tag, "$value": form}`, a record by
`$type` beside its members. The receiver names the type that it expects, and what was sent has to be
of it; a peer of another language may leave out what the expected type says anyway.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum
from types import NoneType
from typing import Any

from cordapp.containers import DictForm, ListForm
from cordapp.forms import (
    INTEGER_MAX,
    TAG,
    VALUE,
    CodecError,
    Definitions,
    FloatForm,
    Form,
    IntForm,
    Read,
    SchemaError,
    decoded,
    dumps,
    expect,
)
from cordapp.records import RecordForm
from cordapp.texts import SCALARS, StrForm
from cordapp.unions import UnionForm

_ALL_KINDS = frozenset({"null", "boolean", "number", "string", "array", "object"})
_ITEMS: Mapping[str, Callable[[Any], Any]] = {"tuple": tuple, "set": set, "frozenset": frozenset}
_TAGGED_SCALARS = {form.tag: form for form in SCALARS.values()}


class AnyForm(Form):
    """A JSON value as it is. Other values are refused: nobody could read them back."""

    tag, kinds, is_hashable = "any", _ALL_KINDS, False

    def schema(self, _defs: Definitions) -> dict[str, Any]:
        return {}

    def holds(self, _value: object) -> bool:
        return True

    def encode(self, value: Any, path: str) -> Any:
        kind = type(value)
        if kind is list:
            return [self.encode(item, f"{path}[{n}]") for n, item in enumerate(value)]
        if kind is dict:
            for key in value:
                expect(isinstance(key, str), "a key that is text", key, path)
            return {key: self.encode(item, f"{path}.{key}") for key, item in value.items()}
        if kind in (NoneType, bool, str, float) or (kind is int and abs(value) <= INTEGER_MAX):
            return SCALARS[kind].encode(value, path)
        raise CodecError(path, f"Any stands for a JSON value, and a {kind.__name__} is none")

    def decode(self, value: Any, _path: str, _read: Read = decoded) -> Any:
        return value


class SentForm(Form):
    """A value by itself.

    Args:
        form_of: the form of a class; a generic one gets this form for its parameters.
        names_types: whether the types that JSON does not have are named.
    """

    tag, kinds = "any", _ALL_KINDS

    def __init__(self, form_of: Callable[[type], Form], *, names_types: bool) -> None:
        self._form_of = form_of
        self._names_types = names_types

    def schema(self, _defs: Definitions) -> dict[str, Any]:
        return {}

    def holds(self, _value: object) -> bool:
        return True

    def encode(self, value: Any, path: str) -> Any:
        kind = type(value)
        if kind in (NoneType, bool, str):
            return value
        if isinstance(value, (int, float)) and not isinstance(value, Enum):
            return self._number(value, path)
        if kind is list:
            return [self.encode(item, f"{path}[{n}]") for n, item in enumerate(value)]
        if kind is tuple or kind in (set, frozenset):
            return self._items(value, path)
        if isinstance(value, Mapping) and not hasattr(value, "__to_json__"):
            return self._mapping(value, path)
        try:
            form = self._form_of(str if isinstance(value, str) and kind is str else kind)
        except SchemaError as exc:
            raise CodecError(path, f"a {kind.__name__} has no JSON form: {exc}") from exc
        return form.tagged(value, path) if self._names_types else form.encode(value, path)

    def _number(self, value: Any, path: str) -> Any:
        form = SCALARS[float if isinstance(value, float) else int]
        plain = form.encode(value, path)
        # Storage knows one kind of number: 1.0 would come back as 1.
        ambiguous = isinstance(plain, str) or (isinstance(plain, float) and plain.is_integer())
        return {TAG: form.tag, VALUE: plain} if ambiguous and self._names_types else plain

    def _items(self, value: Any, path: str) -> Any:
        items = [self.encode(item, f"{path}[{n}]") for n, item in enumerate(value)]
        if not isinstance(value, tuple):
            items.sort(key=dumps)
        return {TAG: type(value).__name__, VALUE: items} if self._names_types else items

    def _mapping(self, value: Mapping[Any, Any], path: str) -> Any:
        if not self._names_types:
            return {self._key(k, path): self.encode(v, f"{path}.{k}") for k, v in value.items()}
        if all(type(key) is str for key in value) and TAG not in value:
            return {key: self.encode(item, f"{path}.{key}") for key, item in value.items()}
        pairs = [[self.encode(k, path), self.encode(v, f"{path}.{k}")] for k, v in value.items()]
        return {TAG: "dict", VALUE: pairs}

    def _key(self, key: Any, path: str) -> str:
        plain = self.encode(key, f"{path} (key)")
        expect(isinstance(plain, (str, int)) and not isinstance(plain, bool), "a key", key, path)
        return plain if isinstance(plain, str) else dumps(plain)

    def decode(self, value: Any, path: str, _read: Read = decoded) -> Any:
        return _anything(value, path)


def received(form: Form, value: Any, path: str) -> Any:
    """The value of type `form` that a sender wrote who did not know the type.

    Raises:
        CodecError: it is none of the type; the error names the place.
    """
    return _received(form, value, path, received)


def _named(form: Form, value: Any, path: str) -> Any:
    """As `received`, of a sender that named each type that JSON does not have."""
    is_tagged = isinstance(value, dict) and TAG in value
    if not is_tagged and not isinstance(form.base, UnionForm) and not _is_written(form, value):
        raise CodecError(path, f"expected a value with {TAG} {form.tag}")
    return _received(form, value, path, _named)


def _received(form: Form, value: Any, path: str, read: Read) -> Any:  # noqa: PLR0911  # one per kind
    base = form.base
    if isinstance(base, UnionForm):
        return _alternative(base, value, path, read)
    if isinstance(base, AnyForm):
        return _anything(value, path)
    if not isinstance(value, dict) or TAG not in value:
        return form.decode(value, path, read)
    tag, is_pair = value[TAG], value.keys() == {TAG, VALUE}
    if isinstance(base, RecordForm):
        if not base.is_called(tag):
            raise CodecError(path, f"expected {base.tag}, found {tag!r:.200}")
        return form.untagged(value, path, read)
    if isinstance(base, DictForm):
        if is_pair and tag == "dict" and isinstance(value[VALUE], list):
            return base.from_pairs(value[VALUE], path, read)
        if not (is_pair and tag == base.tag):
            return form.decode(value, path, read)
    expect(is_pair, f"a value of type {base.tag}", value, path)
    if not base.is_called(tag):
        raise CodecError(path, f"expected {base.tag}, found {tag!r:.200}")
    return form.decode(value[VALUE], path, read)


def _alternative(union: UnionForm, value: Any, path: str, read: Read) -> Any:
    """The value of the first alternative that it fits.

    Where several could have it, one that would be written like this comes first: `[1]` is a list of
    integers rather than of an enum whose values are numbers.
    """
    tag = value.get(TAG) if isinstance(value, dict) else None
    if tag is None:
        arms = [a for a in union.arms if a not in union.tagged_arms or _is_sent_plain(a)]
        arms = [a for a in arms if not union.is_of_others(a, value)]
    else:
        arms = [a for a in union.arms if a.is_called(tag)]
        real = [a for a in union.arms if a.tag != "none"]
        arms = arms or (real if len(real) == 1 else [])
        arms = arms or [a for a in union.arms if isinstance(a.base, (AnyForm, DictForm))]
    if len(arms) > 1 and read is not _named:
        for arm in arms:
            with suppress(CodecError):
                return _named(arm, value, path)
    problems = []
    for arm in arms:
        try:
            return read(arm, value, path)
        except CodecError as exc:
            if union.is_optional and value is not None and arm.tag != "none":
                raise  # its own complaint is the useful one
            problems.append(exc)
    raise union.misfit(path, problems)


def _is_sent_plain(form: Form) -> bool:
    """Whether a sender writes values of a form as JSON has them."""
    base = form.base
    plain = isinstance(base, (AnyForm, DictForm))
    plain = plain or (isinstance(base, RecordForm) and base.is_dict)
    return plain or (isinstance(base, ListForm) and base.sent_tag == "list")


def _is_written(form: Form, value: Any) -> bool:
    """Whether a sender that knows no types writes a value of a form as this, without a tag."""
    base = form.base
    if isinstance(base, DictForm):
        return isinstance(base.key.base, StrForm)
    if isinstance(base, IntForm):
        return not isinstance(value, str)
    if isinstance(base, FloatForm):
        return isinstance(value, float) and not value.is_integer()
    return form.is_native or _is_sent_plain(form)


def _anything(value: Any, path: str) -> Any:
    """A value whose type nobody names: types of the CorDapp stay as they were sent."""
    if isinstance(value, list):
        return [_anything(item, f"{path}[{n}]") for n, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if value.keys() == {TAG, VALUE} and isinstance(value[TAG], str):
        tag, inner = value[TAG], value[VALUE]
        if tag in _TAGGED_SCALARS:
            return _TAGGED_SCALARS[tag].decode(inner, path)
        if tag in _ITEMS and isinstance(inner, list):
            return _ITEMS[tag](_anything(item, path) for item in inner)
        if tag == "dict" and isinstance(inner, list):
            return DictForm(SCALARS[str], AnyForm(), "dict").from_pairs(
                inner, path, lambda _form, item, place: _anything(item, place)
            )
    return {key: _anything(item, f"{path}.{key}") for key, item in value.items()}
