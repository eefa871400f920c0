"""The values of a query's parameters. Pure."""

from collections.abc import Mapping

from host.domain.capability_error import CapabilityError
from host.domain.instants import instant_micros
from host.domain.json import JsonObject, JsonValue
from host.domain.order_keys import NoKeyError, OrderKind, order_key
from host.ledger.query.typing import WILDCARDS_MAX, Use, ValueType
from host.ports.requests import canonical_text

TEXT_CHARACTERS_MAX = 4096
LIST_MAX = 1000

Bound = str | int | bool | None
"""A value as statements compare it: an order key of numbers and durations, an instant's micros."""


def bound_values(
    query: str, uses: Mapping[str, Use], values: JsonObject
) -> Mapping[str, Bound | list[Bound]]:
    """The values of a call, by parameter.

    Raises:
        CapabilityError: `query-parameter`, a parameter is unknown, missing or of another type.
    """
    for name in values:
        if name not in uses:
            known = ", ".join(sorted(uses)) or "none"
            raise _refused(f"query {query!r} has no parameter {name[:64]!r}; it has {known}")
    bound: dict[str, Bound | list[Bound]] = {}
    for name, use in uses.items():
        if name not in values:
            raise _refused(f"parameter {name!r} of query {query!r} is missing")
        bound[name] = _value(name, use, values[name])
    return bound


def _value(name: str, use: Use, value: JsonValue) -> Bound | list[Bound]:
    if not use.many:
        return _scalar(repr(name), use, value)
    if not isinstance(value, list | tuple) or len(value) > LIST_MAX:
        raise _refused(f"{name!r} must be a list of at most {LIST_MAX} values")
    return [_scalar(f"{name!r}[{index}]", use, item) for index, item in enumerate(value)]


def _scalar(name: str, use: Use, value: JsonValue) -> Bound:
    if value is None:
        return None
    if isinstance(value, bool):
        return value if use.type is ValueType.BOOLEAN else _misfit(name, use, value)
    if not isinstance(value, str | int | float) or use.type is ValueType.BOOLEAN:
        return _misfit(name, use, value)
    canonical_text(value, name)
    try:
        if use.type is ValueType.NUMBER:
            return order_key(OrderKind.NUMBER, value)
        if isinstance(value, str):
            return _text(name, use, value)
    except (NoKeyError, ValueError):
        pass
    return _misfit(name, use, value)


def _text(name: str, use: Use, value: str) -> Bound:
    if len(value) > TEXT_CHARACTERS_MAX:
        raise _refused(f"{name} is longer than {TEXT_CHARACTERS_MAX} characters")
    if use.type is ValueType.DURATION:
        return order_key(OrderKind.DURATION, value)
    if use.type is ValueType.INSTANT:
        return instant_micros(value)
    if use.pattern and value.count("%") > WILDCARDS_MAX:
        raise _refused(f"{name} is a pattern, which has at most {WILDCARDS_MAX} '%'")
    return value


def _misfit(name: str, use: Use, value: JsonValue) -> Bound:
    raise _refused(f"{name} must be of type {use.type}, found {value!r:.80}")


def _refused(message: str) -> CapabilityError:
    return CapabilityError("query-parameter", message)
