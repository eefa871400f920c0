from datetime import timedelta

import iso8601


def check():
    found = iso8601.parse_date("2026-11-30T10:00:00+01:00")
    assert (found.hour, found.utcoffset()) == (10, timedelta(hours=1))
    assert iso8601.parse_date("20261130").day == 30
    assert not iso8601.is_iso8601("30.11.2026")
