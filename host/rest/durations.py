"""Durations in ISO 8601 as Java's `Duration` reads them: `PnDTnHnMn.nS`. Pure."""

import re

from host.domain.errors import RequestInvalidError
from host.domain.refused import shown

MILLIS_MAX = 100 * 365 * 86_400_000
"""A hundred years."""
_DURATION = re.compile(
    r"P(?!$)(?:(?P<days>[0-9]{1,9})D)?"
    r"(?:T(?!$)(?:(?P<hours>[0-9]{1,9})H)?(?:(?P<minutes>[0-9]{1,9})M)?"
    r"(?:(?P<seconds>[0-9]{1,12})(?:\.(?P<fraction>[0-9]{1,9}))?S)?)?",
    re.IGNORECASE,
)


def duration_ms(text: str) -> int:
    """Milliseconds of a positive duration; shorter parts of a second are left out.

    Raises:
        RequestInvalidError: it is none, it is zero, or it is longer than a hundred years.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise RequestInvalidError(
            f"{shown(text)} is no duration; expected PnDTnHnMn.nS, such as P4D or PT15M"
        )
    days, hours, minutes, seconds = (
        int(found[part] or 0) for part in ("days", "hours", "minutes", "seconds")
    )
    fraction = int((found["fraction"] or "").ljust(9, "0")) // 1_000_000
    millis = (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + fraction
    if not 0 < millis <= MILLIS_MAX:
        raise RequestInvalidError(
            f"duration {shown(text)} must be at least a millisecond and at most a hundred years"
        )
    return millis
