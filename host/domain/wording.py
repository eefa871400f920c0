"""Numbers, sizes and times as people read them. Pure.

Counts have commas, sizes binary units, times the two largest units; all with a space before the
unit.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from host.domain.ids import EpochMs

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")
_PARTS: Sequence[tuple[int, str]] = (
    (86_400_000, "d"),
    (3_600_000, "h"),
    (60_000, "min"),
    (1000, "s"),
)
COUNTED_MAX = 10_000
"""Counts are exact up to this number."""


def count(number: int) -> str:
    """Such as `10,214`."""
    return f"{number:,}"


def up_to(number: int, most: int = COUNTED_MAX) -> str:
    """A number that was counted up to one more than `most`: `more than 10,000`."""
    return count(number) if number <= most else f"more than {count(most)}"


def size(number: int) -> str:
    """Bytes: `512 B`, `1.9 GiB`, `96 MiB`."""
    value, unit = float(number), "B"
    for larger in _UNITS:
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{number} B" if unit == "B" else f"{value:.{0 if value >= 10 else 1}f} {unit}"


def span(millis: int) -> str:
    """A duration: `12 ms`, `3 min 12 s`, `12 d 4 h`."""
    if millis < 1000:
        return f"{max(millis, 0)} ms"
    place = next(n for n, (length, _) in enumerate(_PARTS) if length <= millis)
    (length, unit), *smaller = _PARTS[place : place + 2]
    text, rest = f"{millis // length} {unit}", millis % length
    return text + "".join(f" {rest // part} {name}" for part, name in smaller if part <= rest)


def moment(at: EpochMs) -> str:
    """An instant in UTC: `29 November 2026, 11:42:16 UTC`."""
    then = datetime.fromtimestamp(at / 1000, tz=UTC)
    return f"{then.day} {then:%B %Y, %H:%M:%S} UTC"


def some(number: int, one: str, many: str = "") -> str:
    """A number with its noun: `1 flow`, `18 flows`."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def plural(number: int, one: str, many: str = "") -> str:
    """The noun alone."""
    return one if number == 1 else many or one + "s"
