"""Times in certificates, in every form that Java reads.

Years have two digits (1950 to 2049) or four; seconds and fractions may be missing; the zone is `Z`
or an offset. Days beyond a month's end count into the next month, as in Java. RFC 5280 allows fewer
forms, but old tools wrote the others.

Source: ITU-T X.680 sections 46 and 47; Java `sun.security.util.DerInputBuffer`.
"""

import re
from datetime import UTC, datetime, timedelta

from cpi.crypto.der import DerRefusedError
from cpi.crypto.tlv import GENERALIZED_TIME, UTC_TIME, Element

_DIGITS_OF_YEAR = {UTC_TIME: 2, GENERALIZED_TIME: 4}
_CENTURY_ENDS = 50
_FORM = re.compile(
    r"(?P<year>\d{2}|\d{4})(?P<month>\d\d)(?P<day>\d\d)(?P<hour>\d\d)(?P<minute>\d\d)"
    r"(?P<second>\d\d(?P<fraction>[.,]\d{1,3})?)?(?:Z|(?P<sign>[+-])(?P<hours>\d\d)(?P<minutes>\d\d))",
    re.ASCII,
)


def certificate_time(element: Element) -> datetime:
    """The moment that a UTCTime or GeneralizedTime states, in whole seconds.

    Raises:
        DerRefusedError: it is none, or states no moment between the years 1 and 9999.
    """
    text = element.content.decode("ascii", errors="replace")
    found = _FORM.fullmatch(text)
    digits = _DIGITS_OF_YEAR.get(element.tag)
    if found is None or digits != len(found["year"]) or (digits == 2 and found["fraction"]):
        raise DerRefusedError(f"{text!r} is no time of a certificate")
    year, month, day = int(found["year"]), int(found["month"]), int(found["day"])
    hour, minute, second = (
        int(found["hour"]),
        int(found["minute"]),
        int((found["second"] or "0")[:2]),
    )
    hours, minutes = int(found["hours"] or 0), int(found["minutes"] or 0)
    if digits == 2:
        year += 1900 if year >= _CENTURY_ENDS else 2000
    if not 1 <= day <= 31 or max(hour, hours) > 23 or max(minute, second, minutes) > 59:
        raise DerRefusedError(f"{text!r} is no time of a certificate")
    offset = timedelta(hours=hours, minutes=minutes) * (-1 if found["sign"] == "-" else 1)
    try:
        begin = datetime(year, month, 1, hour, minute, second, tzinfo=UTC)
        return begin + timedelta(days=day - 1) - offset
    except (ValueError, OverflowError) as error:
        raise DerRefusedError(f"{text!r} is no time of a certificate: {error}") from error
