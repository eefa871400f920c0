"""Constraints that `Annotated` adds to a type: part of the schema, and enforced by the codec.

A mapping holds keywords of JSON Schema; objects of `annotated_types` (`Ge`, `Len`, ..), or others
with the same attributes, say the same. Limits of Decimals, dates, times and durations, whose forms
are texts, become `formatMinimum` and the like, which the host checks by the order of the format.
"""

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Any

from cordapp.containers import DictForm, FixedTupleForm, ListForm, comparable
from cordapp.forms import (
    INTEGER_MAX,
    CodecError,
    Definitions,
    FloatForm,
    Form,
    IntForm,
    Read,
    SchemaError,
    decoded,
    expect,
)
from cordapp.texts import (
    BytesForm,
    DateForm,
    DatetimeForm,
    DecimalForm,
    TextForm,
    TimedeltaForm,
    TimeForm,
)

_LIMITS: Mapping[str, tuple[Callable[[Any, Any], bool], str]] = {
    "minimum": (operator.ge, "at least"),
    "maximum": (operator.le, "at most"),
    "exclusiveMinimum": (operator.gt, "more than"),
    "exclusiveMaximum": (operator.lt, "less than"),
}
_SIZES: Mapping[str, tuple[Callable[[int, int], bool], str]] = {
    "minLength": (operator.ge, "at least {} characters"),
    "maxLength": (operator.le, "at most {} characters"),
    "minItems": (operator.ge, "at least {} items"),
    "maxItems": (operator.le, "at most {} items"),
    "minProperties": (operator.ge, "at least {} members"),
    "maxProperties": (operator.le, "at most {} members"),
}
_RANGES = (
    *product(("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")),
    *((f"min{of}", f"max{of}") for of in ("Length", "Items", "Properties")),
)
_NUMBER = (*_LIMITS, "multipleOf")
_ORDERED = (DecimalForm, DateForm, DatetimeForm, TimeForm, TimedeltaForm)
_REMARKS = frozenset(
    {"title", "description", "examples", "default", "deprecated", "readOnly", "writeOnly",
     "format", "contentMediaType", "$comment"}
)  # fmt: skip
"""Keywords that say something to people and restrict nothing."""
_ATTRIBUTES = {
    "ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf", "min_length": "min", "max_length": "max", "pattern": "pattern",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """Limits of a type: `Annotated[int, Constraint(ge=1, le=100)]`.

    Unlike a mapping of keywords it can be hashed, so that the type can be part of a union.

    Attributes:
        ge, gt, le, lt: limits of numbers, Decimals, dates, times and durations.
        multiple_of: of a number.
        min_length, max_length: characters of a text, elements of a list, set, tuple or dict.
        pattern: a regular expression that is found in the text.
    """

    ge: Any = None
    gt: Any = None
    le: Any = None
    lt: Any = None
    multiple_of: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None


def keywords_of(metadata: Iterable[Any], form: Form) -> tuple[dict[str, Any], dict[str, Any]]:
    """The constraints and the remarks that `metadata` of an Annotated adds to a form.

    Raises:
        SchemaError: a keyword that JSON Schema does not know, or a check that is a function.
    """
    constraints, remarks = dict[str, Any](), dict[str, Any]()
    for extra in metadata:
        if isinstance(extra, Mapping):
            for name, value in extra.items():
                if name in _REMARKS or str(name).startswith("x-"):
                    remarks[name] = value
                elif name in (*_NUMBER, *_SIZES, "pattern", "uniqueItems", "enum", "const"):
                    constraints[name] = value
                else:
                    raise SchemaError(f"{name!r} is no keyword that can be enforced")
        elif type(extra).__name__ == "Predicate":
            raise SchemaError("a Predicate has no form in JSON Schema: check it in the code")
        elif not isinstance(extra, (str, type)):
            for attribute, name in _ATTRIBUTES.items():
                value = getattr(extra, attribute, None)
                if value is not None and not callable(value):
                    constraints[_sized(name, form)] = value
    return constraints, remarks


def _sized(name: str, form: Form) -> str:
    if name not in ("min", "max"):
        return name
    kinds = {"array": "Items", "object": "Properties"}
    return name + next((kinds[kind] for kind in form.kinds if kind in kinds), "Length")


def applies(name: str, form: Form) -> bool:
    """Whether a constraint has a meaning for a form."""
    base = form.base
    if name in _LIMITS:
        return isinstance(base, (IntForm, FloatForm, *_ORDERED))
    if name == "multipleOf":
        return isinstance(base, (IntForm, FloatForm))
    if name in ("minLength", "maxLength", "pattern"):
        return isinstance(base, TextForm) and not isinstance(base, BytesForm)
    if name in ("minItems", "maxItems", "uniqueItems"):
        return isinstance(base, (ListForm, FixedTupleForm))
    if name in ("minProperties", "maxProperties"):
        return isinstance(base, DictForm)
    return True  # enum, const


def _misfit(name: str, value: Any, form: Form) -> str | None:
    """What a constraint expects in the place of a value that is none; None where it is one."""
    is_number = type(value) in (int, float) and math.isfinite(value)
    if name in _SIZES and not (type(value) is int and value >= 0):
        return "a whole number from 0"
    if name in _LIMITS and isinstance(form.base, (IntForm, FloatForm)) and not is_number:
        return "a number"
    if name == "multipleOf" and not (is_number and value > 0):
        return "a number above 0"
    if name == "pattern" and not isinstance(value, str):
        return "a text"
    if name == "enum" and not isinstance(value, (list, tuple)):
        return "a list"
    return None


class ConstrainedForm(Form):
    """A form whose values hold to constraints as well."""

    def __init__(
        self, inner: Form, constraints: Mapping[str, Any], remarks: Mapping[str, Any]
    ) -> None:
        self.inner = inner
        self._remarks = dict(remarks)
        self._constraints = {n: getattr(v, "pattern", v) for n, v in constraints.items()}
        self.tag, self.kinds, self.is_native = inner.tag, inner.kinds, inner.is_native
        self.is_hashable, self.choices = inner.is_hashable, inner.choices
        for name, value in self._constraints.items():
            if not applies(name, inner):
                raise SchemaError(f"{name} has no meaning for {inner.tag}")
            wanted = _misfit(name, value, inner)
            if wanted:
                told = f"{name} of {inner.tag}: expected {wanted}, found {value!r:.80}"
                raise SchemaError(told)
        self._limits = {n: self._limit(v) for n, v in constraints.items() if n in _LIMITS}
        self._refuse_contradictions()
        if "pattern" in constraints:
            self._pattern = _compiled(self._constraints["pattern"])
        self._has_text = isinstance(inner.base, IntForm) and not self._is_small()

    @property
    def base(self) -> Form:
        return self.inner.base

    @property
    def hashed(self) -> Iterable[Form]:
        return self.inner.hashed

    def _limit(self, value: Any) -> Any:
        """A limit as a value of the type: also of its text, and of a number for a Decimal."""
        base = self.inner.base
        if isinstance(base, (IntForm, FloatForm)):
            return value
        if isinstance(base, DecimalForm) and isinstance(value, (int, float)):
            return Decimal(str(value))
        try:
            return base.decode(value if isinstance(value, str) else base.encode(value, "$"), "$")
        except CodecError as exc:
            raise SchemaError(f"a limit of {base.tag}: {exc}") from exc

    def _refuse_contradictions(self) -> None:
        """Refuse limits that no value is within."""
        known = {**self._constraints, **self._limits}
        for low, high in _RANGES:
            if low in known and high in known:
                least, most = known[low], known[high]
                try:
                    fits = least < most or (least == most and "exclusive" not in low + high)
                except TypeError:  # times with and without an offset have no order
                    fits = False
                if not fits:
                    raise SchemaError(f"no {self.tag} has {low} {least} and {high} {most}")

    def _is_small(self) -> bool:
        """Whether all integers that fit are numbers in JSON."""
        low = max(self._limits.get(n, -INTEGER_MAX - 1) for n in ("minimum", "exclusiveMinimum"))
        high = min(self._limits.get(n, INTEGER_MAX + 1) for n in ("maximum", "exclusiveMaximum"))
        inside = low >= -INTEGER_MAX - 1 and high <= INTEGER_MAX + 1
        both = {"minimum", "exclusiveMinimum"} & self._limits.keys()
        both = both and {"maximum", "exclusiveMaximum"} & self._limits.keys()
        return bool(both and inside) or "multipleOf" in self._constraints

    def schema(self, defs: Definitions) -> dict[str, Any]:
        if isinstance(self.inner.base, IntForm):
            found = self.small_schema()
            if self._has_text:
                found |= {**self.inner.schema(defs), **found, "type": ["integer", "string"]}
                found |= {_format_limit(n): str(v) for n, v in self._limits.items()}
        else:
            found = self.inner.schema(defs)
            ordered = isinstance(self.inner.base, _ORDERED)
            for name, value in self._constraints.items():
                if name in _LIMITS and ordered:
                    found[_format_limit(name)] = self.inner.encode(self._limits[name], name)
                elif name in found and name != "uniqueItems":
                    found.setdefault("allOf", []).append({name: value})
                else:
                    found[name] = value
        return {**found, **self._remarks}

    def small_schema(self) -> dict[str, Any]:
        """The schema of the integers that are numbers."""
        found = IntForm().small_schema()
        for name, value in self._constraints.items():
            low = name in ("minimum", "exclusiveMinimum")
            if name in _LIMITS and abs(value) > INTEGER_MAX:
                is_met = value < 0 if low else value > 0
                found |= {} if is_met else {"enum": []}
            else:
                found[name] = value
        return found

    def holds(self, value: object) -> bool:
        return self.inner.holds(value)

    def encode(self, value: Any, path: str) -> Any:
        plain = self.inner.encode(value, path)
        self._check(value, plain, path)
        return plain

    def decode(self, value: Any, path: str, read: Read = decoded) -> Any:
        found = self.inner.decode(value, path, read)
        self._check(found, value, path)
        return found

    def _check(self, value: Any, plain: Any, path: str) -> None:
        if isinstance(plain, str) and isinstance(self.inner.base, IntForm):
            expect(self._has_text, "an integer up to 2^53-1", value, path)
        for name, limit in self._constraints.items():
            self._check_one(name, limit, value, plain, path)

    def _check_one(self, name: str, limit: Any, value: Any, plain: Any, path: str) -> None:
        if name in _LIMITS:
            fits, words = _LIMITS[name]
            try:
                within = fits(value, self._limits[name])
            except TypeError:  # a time with an offset and one without have no order
                within = False
            expect(within, f"{words} {self._limits[name]}", value, path)
        elif name in _SIZES:
            fits_size, words = _SIZES[name]
            expect(fits_size(len(plain), limit), words.format(limit), value, path)
        elif name == "pattern":
            expect(self._pattern.search(plain), f"a text that matches {limit!r}", value, path)
        elif name == "multipleOf":
            expect(_is_multiple(value, limit), f"a multiple of {limit}", value, path)
        elif name == "uniqueItems":
            unique = len({comparable(item) for item in plain}) == len(plain)
            expect(unique or not limit, "each item once", value, path)
        else:
            known = [comparable(item) for item in (limit if name == "enum" else [limit])]
            expect(comparable(plain) in known, f"one of {known}", value, path)

    def tagged(self, value: Any, path: str) -> dict[str, Any]:
        self.encode(value, path)
        return self.inner.tagged(value, path)

    def untagged(self, value: Mapping[str, Any], path: str, read: Read = decoded) -> Any:
        found = self.inner.untagged(value, path, read)
        self.encode(found, path)
        return found

    def is_called(self, tag: object) -> bool:
        return self.inner.is_called(tag)


def small_schema(form: Form) -> dict[str, Any]:
    """The schema of the values of an integer's form that are numbers in JSON."""
    return form.small_schema() if isinstance(form, ConstrainedForm) else IntForm().small_schema()


def _format_limit(name: str) -> str:
    return f"format{name[0].upper()}{name[1:]}"


def _compiled(text: str) -> "re.Pattern[str]":
    # In JSON Schema, `$` is the end of the text, not the place before a last line end.
    strict = text[:-1] + r"\Z" if text.endswith("$") and not text.endswith(r"\$") else text
    try:
        return re.compile(strict)
    except re.error as exc:
        raise SchemaError(f"pattern {text!r}: {exc}") from exc


def _is_multiple(value: Any, of: Any) -> bool:
    if isinstance(of, float):
        quotient = value / of
        return bool(quotient == int(quotient))
    return bool(value % of == 0)
