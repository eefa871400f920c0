from datetime import date, timedelta

import isodate


def check():
    assert isodate.parse_duration("P1DT2H") == timedelta(days=1, hours=2)
    assert date(2026, 1, 31) + isodate.parse_duration("P1M") == date(2026, 2, 28)
    assert isodate.duration_isoformat(timedelta(minutes=90)) == "PT1H30M"
    assert isodate.parse_date("2026-W49-1") == date(2026, 11, 30)
