from datetime import datetime, timedelta

import pytz


def check():
    zone = pytz.timezone("Europe/Zurich")
    summer = zone.localize(datetime(2026, 7, 1, 12))  # noqa: DTZ001  # a wall clock time
    assert summer.utcoffset() == timedelta(hours=2)
    assert summer.astimezone(pytz.utc).hour == 10
