"""The keywords of the JSON Schemas of CPKs, in bounded time, whatever their authors wrote.

Draft 2020-12, except for keywords whose work cannot be bounded. Regular expressions are run by a
linear-time engine; unsupported ones (look-around, back references) are not checked. Neither are
`unevaluatedItems` and `unevaluatedProperties`: the guest can check the value itself. All other work
is counted, and a check that exceeds the limit is aborted.

`formatMinimum`, `formatMaximum` and their exclusive forms limit texts of a format with an order.
"""

import copy
import json
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias

import rfc8785
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry

from host.domain.call_time import check_call_time
from host.domain.json import JsonObject, JsonValue, canonical_json
from host.domain.linear_pattern import linear_pattern
from host.domain.order_keys import KIND_OF_FORMAT, NoKeyError, order_key

if TYPE_CHECKING:
    Keyword: TypeAlias = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]

WORK_MAX = 500_000
"""Limit of one check, some seconds: counts keywords, values in lists and objects that they examine,
and pattern searches by their size. In a host call, the call's time limit applies as well."""
DEPTH_MAX = 160
"""Keywords within keywords: two for each level of a text that is nested 64 deep, and more.
A schema may refer to itself without end. At Python's own limit of recursion libraries below do not
raise RecursionError, but an exception that is no subclass of `Exception`."""
_COMPARISONS_OF_WORK = 10
"""Values of an `enum` that are compared in the time of one keyword."""
_STEPS_OF_WORK = 400
"""Characters times states that a pattern's engine takes in the time of one keyword, or fewer."""


class _Work:
    """What is left of the work of a check, and how deep it is in the schema."""

    def __init__(self) -> None:
        self.left = WORK_MAX
        self.depth = 0


_work: ContextVar[_Work | None] = ContextVar("work", default=None)


class TooMuchWorkError(Exception):
    """The check was aborted."""


@contextmanager
def limited_work() -> Iterator[None]:
    """Limit the work of all checks in the block to `WORK_MAX`, or to what a block around it allows.

    Raises:
        TooMuchWorkError: a check takes more.
    """
    if _work.get(None) is not None:
        yield
        return
    before = _work.set(_Work())
    try:
        yield
    finally:
        _work.reset(before)


def validator(schema: JsonObject) -> Validator:
    """A validator of a checked schema, for `first_error`. It reads no other document."""
    return Bounded(dict(schema), registry=Registry())


def first_error(validator: Validator, value: JsonValue) -> tuple[str, str] | None:
    """JSON path and message of the most telling error of `value`; None if it fits.

    Raises:
        TooMuchWorkError: the check takes more work than `WORK_MAX`.
        RecursionError: the value, or the schema, is nested deeper than `DEPTH_MAX`.
    """
    before = _work.set(_Work())
    try:
        error = best_match(validator.iter_errors(value))
    finally:
        _work.reset(before)
    return None if error is None else (_path_of(error), _message_of(error))


def _message_of(error: ValidationError) -> str:
    """The error's message, with a constant in JSON's words: null, not None."""
    value = error.instance
    message = str(error.message)
    if value is None or isinstance(value, bool):
        return json.dumps(value) + message.removeprefix(repr(value))
    kinds = sorted({kind for each in error.context or () if (kind := _kind_of(each))})
    return f"{message}; expected `$type`: {', '.join(kinds)}" if kinds else message


def _kind_of(error: ValidationError) -> str | None:
    """The `$type` that an alternative of a union demands, by the error that it gave."""
    if list(error.relative_path) == ["$type"]:
        name = error.validator_value
    else:
        properties = error.schema.get("properties") if isinstance(error.schema, dict) else None
        kind = properties.get("$type") if isinstance(properties, dict) else None
        name = kind.get("const") if isinstance(kind, dict) else None
    return name if isinstance(name, str) else None


def _path_of(error: ValidationError) -> str:
    """JSON path of the wrong field; for a missing or surplus field, the path of that field."""
    names, instance = error.validator_value, error.instance
    if error.validator == "required" and isinstance(names, list) and isinstance(instance, dict):
        missing = [name for name in names if name not in instance]
        if missing:
            return f"{error.json_path}.{missing[0]}"
    schema = error.schema if isinstance(error.schema, dict) else {}
    if error.validator == "additionalProperties" and isinstance(instance, dict):
        properties = schema.get("properties")
        surplus = sorted(set(instance) - set(properties if isinstance(properties, dict) else ()))
        if surplus:
            return f"{error.json_path}.{surplus[0]}"
    return error.json_path


def _counted(keyword: "Keyword") -> "Keyword":
    """`keyword`, with its work counted by the size of the value that it examines, and its depth."""

    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        check_call_time()
        size = 1 + (len(instance) if isinstance(instance, list | dict) else 0)
        alternatives = (
            len(schema["enum"]) // _COMPARISONS_OF_WORK if value is schema.get("enum") else 0
        )
        work = _charge(size * (1 + alternatives))
        if work.depth >= DEPTH_MAX:
            raise RecursionError
        work.depth += 1
        try:
            yield from keyword(validator, value, instance, schema) or ()
        finally:
            work.depth -= 1

    return check


def _charge(amount: int) -> _Work:
    work = _work.get()
    assert work is not None  # noqa: S101  # keywords are only checked within a limit
    work.left -= amount
    if work.left < 0:
        raise TooMuchWorkError
    return work


def _finds(pattern: str, text: str) -> bool | None:
    """Whether the pattern occurs in the text; None if the engine does not support it."""
    compiled = linear_pattern(pattern)
    if compiled is None:
        return None
    # A search is a single call that cannot be interrupted: its work is counted beforehand.
    _charge(len(text) * compiled.weight // _STEPS_OF_WORK)
    return compiled.occurs_in(text)


def _pattern(
    _validator: Any, pattern: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if isinstance(instance, str) and _finds(pattern, instance) is False:
        kind = schema.get("format") if isinstance(schema, dict) else None
        if kind == "integer":  # as a text beyond 2^53-1; what is wanted is an integer
            yield ValidationError(f"{instance!r:.200} is not of type 'integer'")
        elif kind in KIND_OF_FORMAT:
            yield ValidationError(f"{instance!r:.200} is no {kind}")
        else:
            yield ValidationError(f"{instance!r:.200} does not match {pattern!r}")


def _format_limit(fits: "Callable[[str, str], bool]", words: str) -> "Keyword":
    """A limit of texts that stand for numbers, dates and times, by the order of their format."""

    def check(_validator: Any, limit: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        kind = KIND_OF_FORMAT.get(schema.get("format"))
        if kind is None or not isinstance(instance, str) or not isinstance(limit, str):
            return
        try:
            within = fits(order_key(kind, instance), order_key(kind, limit))
        except NoKeyError:
            return  # told by the pattern of the format
        if not within:
            yield ValidationError(f"{instance!r:.200} is not {words} {limit}")

    return check


def _pattern_properties(
    validator: Any, patterns: Any, instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, schema in patterns.items():
        for name, value in instance.items():
            if _finds(pattern, name):
                yield from validator.descend(value, schema, path=name, schema_path=pattern)


def _additional_properties(
    validator: Any, wanted: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    surplus = [
        name
        for name in instance
        if name not in named and all(_finds(pattern, name) is False for pattern in patterns)
    ]
    if wanted is False and surplus:
        yield ValidationError(
            f"Additional properties are not allowed ({surplus[0]!r:.200} was unexpected)"
        )
    elif isinstance(wanted, dict):
        for name in surplus:
            yield from validator.descend(instance[name], wanted, path=name)


def _unique_items(
    _validator: Any, wanted: Any, instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    if not wanted or not isinstance(instance, list):
        return
    if len(set(map(_text_of, instance))) < len(instance):
        yield ValidationError("it lists an item twice")


def _text_of(item: JsonValue) -> bytes:
    """The same for equal values; 1.0 is 1 but beside integers that no canonical JSON has."""
    try:
        return canonical_json(item)
    except rfc8785.CanonicalizationError:
        return json.dumps(item, sort_keys=True).encode()


def _unchecked(_validator: Any, _value: Any, _instance: Any, _schema: Any) -> None:
    """Not checked by the host."""


_OWN: "dict[str, Keyword]" = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _unique_items,
    "formatMinimum": _format_limit(operator.ge, "at least"),
    "formatMaximum": _format_limit(operator.le, "at most"),
    "formatExclusiveMinimum": _format_limit(operator.gt, "more than"),
    "formatExclusiveMaximum": _format_limit(operator.lt, "less than"),
    "unevaluatedItems": _unchecked,
    "unevaluatedProperties": _unchecked,
}
Bounded: type[Validator] = extend(  # type: ignore[no-untyped-call]  # jsonschema's own
    Draft202012Validator,
    {
        name: _counted(keyword)
        for name, keyword in {**Draft202012Validator.VALIDATORS, **_OWN}.items()
    },
)


def _evolve(validator: Any, **changes: Any) -> Any:
    """The validator of a part of the schema, with the same keywords.

    The library's own takes other keywords where the part names a dialect in `$schema`.
    """
    found = copy.copy(validator)
    for name, value in changes.items():
        object.__setattr__(found, name, value)
    found.__attrs_post_init__()  # the keywords of the part, in place of those of the whole
    return found


Bounded.evolve = _evolve  # type: ignore[assignment]  # typed less exactly
