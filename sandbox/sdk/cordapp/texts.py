"""JSON forms of scalar types that are written as text, and the table of all scalar types."""

import base64
import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any, ClassVar
from uuid import UUID

from cordapp.forms import (
    DIGITS_MAX,
    BoolForm,
    CodecError,
    Definitions,
    FloatForm,
    Form,
    IntForm,
    NoneForm,
    Read,
    decoded,
    expect,
    mismatch,
)


class TextForm(Form):
    """A type whose values are written as text of one pattern. `FORMAT` is JSON Schema's."""

    kinds = frozenset({"string"})
    TYPE: ClassVar[type]
    NAME: ClassVar[str]
    FORMAT: ClassVar[str | None] = None
    PATTERN: ClassVar[str | None] = None
    LENGTH_MAX: ClassVar[int | None] = None

    def __init__(self) -> None:
        self._pattern = None if self.PATTERN is None else re.compile(self.PATTERN)

    def schema(self, _defs: Definitions) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "string"}
        if self.FORMAT is not None:
            found["format"] = self.FORMAT
        if self.PATTERN is not None:
            found["pattern"] = f"^({self.PATTERN})$"
        if self.LENGTH_MAX is not None:
            found["maxLength"] = self.LENGTH_MAX
        return found

    def holds(self, value: object) -> bool:
        return type(value) is self.TYPE

    def encode(self, value: Any, path: str) -> Any:
        return self.write(expect(self.holds(value), self.NAME, value, path), path)

    def decode(self, value: Any, path: str, _read: Read = decoded) -> Any:
        expect(isinstance(value, str), "a string", value, path)
        fits = self.LENGTH_MAX is None or len(value) <= self.LENGTH_MAX
        if self._pattern is not None:
            fits = fits and self._pattern.fullmatch(value) is not None
        try:
            return self.read(expect(fits, self.NAME, value, path))
        except CodecError:
            raise
        except (ValueError, OverflowError) as exc:
            raise mismatch(self.NAME, value, path) from exc

    def write(self, value: Any, path: str) -> str:
        """The text of a value."""
        raise NotImplementedError

    def read(self, text: str) -> Any:
        """The value of a text that has the pattern."""
        raise NotImplementedError


class StrForm(TextForm):
    tag, is_native, TYPE, NAME = "str", True, str, "a string"

    def holds(self, value: object) -> bool:
        return isinstance(value, str) and not isinstance(value, Enum)

    def encode(self, value: Any, path: str) -> Any:
        return str.__str__(expect(isinstance(value, str), "a string", value, path))

    def read(self, text: str) -> Any:
        return text


class BytesForm(TextForm):
    tag, TYPE, NAME = "bytes", bytes, "base64 text"
    _BASE64 = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"

    def schema(self, _defs: Definitions) -> dict[str, Any]:
        return {"type": "string", "contentEncoding": "base64", "pattern": self._BASE64}

    def encode(self, value: Any, path: str) -> Any:
        return base64.b64encode(expect(self.holds(value), "bytes", value, path)).decode()

    def read(self, text: str) -> Any:
        return base64.b64decode(text, validate=True)


_EXPONENT_END = 1_000_000


class DecimalForm(TextForm):
    """All digits, so that the scale is kept; `1E+3` where the last digit is no unit."""

    tag, TYPE, NAME, FORMAT = "decimal", Decimal, "a decimal number", "decimal"
    PATTERN = r"-?[0-9]+(\.[0-9]+)?(E[+-][0-9]{1,6})?"
    LENGTH_MAX = DIGITS_MAX

    def holds(self, value: object) -> bool:
        return isinstance(value, Decimal) and not isinstance(value, Enum)

    def write(self, value: Any, path: str) -> str:
        if not value.is_finite():
            raise CodecError(path, f"{value} has no JSON form")
        sign, digits, exponent = value.as_tuple()
        if -DIGITS_MAX < exponent <= 0:
            text = format(value, "f")
        else:
            text = f"{'-' if sign else ''}{''.join(map(str, digits))}E{exponent:+d}"
        if len(text) <= DIGITS_MAX and abs(exponent) < _EXPONENT_END:
            return text
        raise CodecError(path, f"a Decimal has at most {DIGITS_MAX} characters")

    def read(self, text: str) -> Any:
        return Decimal(text)


def _pairs(last: int) -> str:
    """Two digits from 00 to `last`, which ends in 9 or 3."""
    tens, ones = divmod(last, 10)
    return f"[0-{tens}][0-9]" if ones == 9 else f"([0-{tens - 1}][0-9]|{tens}[0-{ones}])"


_YEAR = "([0-9]{3}[1-9]|[0-9]{2}[1-9][0-9]|[0-9][1-9][0-9]{2}|[1-9][0-9]{3})"
_FOURTH = "(0[48]|[2468][048]|[13579][26])"
_DATE = (
    f"({_YEAR}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    f"|02-(0[1-9]|1[0-9]|2[0-8]))|([0-9]{{2}}{_FOURTH}|{_FOURTH}00)-02-29)"
)
"""Days of the Gregorian calendar from 0001-01-01 to 9999-12-31, leap days included."""
_TIME = f"{_pairs(23)}:{_pairs(59)}:{_pairs(59)}(\\.[0-9]{{1,6}})?"
_OFFSET = f"(Z|[+-]{_pairs(23)}:{_pairs(59)})"


class DatetimeForm(TextForm):
    """An instant, in UTC. One whose UTC lies before the year 1 or after 9999 keeps its offset."""

    tag, TYPE, NAME, FORMAT = "datetime", datetime, "an instant", "date-time"
    PATTERN = f"{_DATE}T{_TIME}{_OFFSET}"

    def write(self, value: Any, path: str) -> str:
        if value.utcoffset() is None:
            raise CodecError(path, "a datetime without time zone has no JSON form")
        try:
            utc = value.astimezone(UTC).replace(tzinfo=None)
        except OverflowError:
            return _with_offset(value, value.isoformat(timespec="microseconds"), path)
        return f"{utc.isoformat(timespec='microseconds')}Z"

    def decode(self, value: Any, path: str, _read: Read = decoded) -> Any:
        try:
            return super().decode(value, path)
        except CodecError:
            if isinstance(value, str) and re.fullmatch(f"{_DATE}T{_TIME}", value):
                raise mismatch("an instant with time zone", value, path) from None
            raise

    def read(self, text: str) -> Any:
        instant = datetime.fromisoformat(text)
        try:
            return instant.astimezone(UTC)
        except OverflowError:
            return instant


class DateForm(TextForm):
    tag, TYPE, NAME, FORMAT = "date", date, "a date", "date"
    PATTERN = _DATE

    def write(self, value: Any, _path: str) -> str:
        return str(value.isoformat())

    def read(self, text: str) -> Any:
        return date.fromisoformat(text)


class TimeForm(TextForm):
    """A time of day, with an offset if the value has one."""

    tag, TYPE, NAME, FORMAT = "time", time, "a time of day", "time-of-day"
    PATTERN = f"{_TIME}{_OFFSET}?"

    def write(self, value: Any, path: str) -> str:
        text = value.isoformat(timespec="microseconds")
        if value.tzinfo is None:
            return str(text)
        if value.utcoffset() is None:
            raise CodecError(path, "a time of day whose offset depends on the day has no JSON form")
        return _with_offset(value, text, path)

    def read(self, text: str) -> Any:
        return time.fromisoformat(text)


def _with_offset(value: Any, text: str, path: str) -> str:
    if value.utcoffset() % timedelta(minutes=1):
        raise CodecError(path, "an offset is whole minutes")
    return text


class TimedeltaForm(TextForm):
    """ISO 8601: `P1DT2H3M4.5S`, with `-` before the whole if it is negative."""

    tag, TYPE, NAME, FORMAT = "timedelta", timedelta, "a duration", "iso-duration"
    _SECONDS = r"[0-9]{1,9}(\.[0-9]{1,6})?S"
    _CLOCK = (
        f"(T([0-9]{{1,9}}H([0-9]{{1,9}}M)?({_SECONDS})?|[0-9]{{1,9}}M({_SECONDS})?|{_SECONDS}))"
    )
    PATTERN = f"-?P([0-9]{{1,9}}D{_CLOCK}?|{_CLOCK})"
    _PARTS = re.compile(r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d{1,6}))?S)?)?")

    def write(self, value: Any, _path: str) -> str:
        sign, length = ("-", -value) if value < timedelta(0) else ("", value)
        minutes, seconds = divmod(length.seconds, 60)
        clock = f"T{minutes // 60}H{minutes % 60}M{seconds}"
        return f"{sign}P{length.days}D{clock}.{length.microseconds:06}S"

    def read(self, text: str) -> Any:
        match = self._PARTS.fullmatch(text)
        if match is None:
            raise ValueError(text)
        days, hours, minutes, seconds = (int(part or 0) for part in match.group(2, 3, 4, 5))
        fraction = int((match[6] or "").ljust(6, "0"))
        sign = -1 if match[1] else 1
        # Signed before it is put together: the shortest timedelta is longer than the longest one.
        return timedelta(
            days=sign * days,
            hours=sign * hours,
            minutes=sign * minutes,
            seconds=sign * seconds,
            microseconds=sign * fraction,
        )


class UuidForm(TextForm):
    tag, TYPE, NAME, FORMAT = "uuid", UUID, "a UUID", "uuid"
    PATTERN = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"

    def write(self, value: Any, _path: str) -> str:
        return str(value)

    def read(self, text: str) -> Any:
        return UUID(text)


_ALL: dict[Any, type[Form]] = {
    NoneType: NoneForm,
    bool: BoolForm,
    int: IntForm,
    float: FloatForm,
    str: StrForm,
    bytes: BytesForm,
    Decimal: DecimalForm,
    datetime: DatetimeForm,
    date: DateForm,
    time: TimeForm,
    timedelta: TimedeltaForm,
    UUID: UuidForm,
}
SCALARS: dict[Any, Form] = {kind: form() for kind, form in _ALL.items()}
