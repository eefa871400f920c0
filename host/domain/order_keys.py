"""Order keys: texts that compare, byte by byte, as the values they stand for. Pure.

JSON has one form for numbers and none for dates; what a text means, its schema says. Keys of one
kind are equal exactly where the values are, and sorted as Python sorts the values, so that a
database compares and orders them without knowing the kind.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from host.domain.json import JsonValue

_EXPONENT_BIAS = 50_000_000
_DIGITS_MAX = 4096
_COMPLEMENT = str.maketrans("0123456789", "9876543210")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,6})?")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})"
)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK = re.compile(r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})?")
_SPAN = re.compile(
    r"(-?)P(?:([0-9]{1,9})D)?(?:T(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?"
    r"(?:([0-9]{1,9})(?:\.([0-9]{1,6}))?S)?)?"
)
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MICROSECOND = timedelta(microseconds=1)
_DAY_ONE = datetime(1, 1, 1, tzinfo=UTC)


class OrderKind(StrEnum):
    """What a JSON scalar stands for."""

    NUMBER = "number"
    INSTANT = "instant"
    DATE = "date"
    TIME = "time of day"
    DURATION = "duration"
    UUID = "UUID"
    BYTES = "base64 text"


class NoKeyError(ValueError):
    """A value is none of the kind."""


def order_key(kind: OrderKind, value: JsonValue) -> str:
    """The key of a scalar.

    Args:
        kind: what it stands for.
        value: a number, or a text as `cordapp.schema` writes it.

    Raises:
        NoKeyError: the value is none of the kind; the message says what it is.
    """
    try:
        if kind is OrderKind.NUMBER:
            return _number_key(_number(value))
        if isinstance(value, str):
            return _KEYS[kind](value)
    except (ValueError, OverflowError, InvalidOperation, binascii.Error):
        pass
    raise NoKeyError(f"expected a{_n(kind)} {kind}, found {value!r:.80}")


def _n(kind: OrderKind) -> str:
    return "n" if kind is OrderKind.INSTANT else ""


def _number(value: JsonValue) -> Decimal:
    if isinstance(value, str):
        if len(value) > _DIGITS_MAX or not _NUMBER.fullmatch(value):
            raise ValueError(value)
        return Decimal(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(value)  # noqa: TRY004  # told as every other value that is no number
    return Decimal(value)


def _number_key(value: Decimal) -> str:
    """Sign, exponent of 0.ddd * 10^e, and digits; those of negative numbers complemented."""
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    if not isinstance(exponent, int):
        raise ValueError(value)  # noqa: TRY004  # not finite
    if not text:
        return "5"
    magnitude = f"{exponent + len(text) + _EXPONENT_BIAS:08d}{text.rstrip('0')}"
    # The end of a negative number's digits sorts after any digit: -0.12 is more than -0.123.
    return f"4{magnitude.translate(_COMPLEMENT)}~" if sign else f"6{magnitude}"


def _instant_key(text: str) -> str:
    _expect(_INSTANT, text)
    local = datetime.fromisoformat(text)
    offset = local.utcoffset() or timedelta(0)
    return _micros(local.replace(tzinfo=UTC) - _DAY_ONE - offset)


def _date_key(text: str) -> str:
    _expect(_DAY, text)
    return date.fromisoformat(text).isoformat()


def _time_key(text: str) -> str:
    """Times without an offset are before those with one, with which they have no order."""
    _expect(_CLOCK, text)
    clock = time.fromisoformat(text)
    offset = clock.utcoffset()
    since = timedelta(
        hours=clock.hour,
        minutes=clock.minute,
        seconds=clock.second,
        microseconds=clock.microsecond,
    )
    return ("0" if offset is None else "1") + _micros(since - (offset or timedelta(0)))


def _duration_key(text: str) -> str:
    match = _SPAN.fullmatch(text)
    if match is None or text[-1] in "PT":
        raise ValueError(text)
    days, hours, minutes, seconds = (int(part or 0) for part in match.group(2, 3, 4, 5))
    whole = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    total = whole * 1_000_000 + int((match[6] or "").ljust(6, "0"))
    return _number_key(Decimal(-total if match[1] else total))


def _uuid_key(text: str) -> str:
    _expect(_UUID, text)
    return text.lower()


def _bytes_key(text: str) -> str:
    return base64.b64decode(text, validate=True).hex()


def _micros(span: timedelta) -> str:
    return _number_key(Decimal(span // _MICROSECOND))


def _expect(pattern: "re.Pattern[str]", text: str) -> None:
    if not pattern.fullmatch(text):
        raise ValueError(text)


_KEYS: Mapping[OrderKind, Callable[[str], str]] = {
    OrderKind.INSTANT: _instant_key,
    OrderKind.DATE: _date_key,
    OrderKind.TIME: _time_key,
    OrderKind.DURATION: _duration_key,
    OrderKind.UUID: _uuid_key,
    OrderKind.BYTES: _bytes_key,
}
KIND_OF_FORMAT: Mapping[str, OrderKind] = {
    "integer": OrderKind.NUMBER,
    "decimal": OrderKind.NUMBER,
    "date-time": OrderKind.INSTANT,
    "date": OrderKind.DATE,
    "time-of-day": OrderKind.TIME,
    "iso-duration": OrderKind.DURATION,
    "uuid": OrderKind.UUID,
}
"""`format` of a JSON Schema -> what its texts stand for."""
