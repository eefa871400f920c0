from datetime import date, datetime

from dateutil.easter import easter
from dateutil.relativedelta import FR, relativedelta
from dateutil.rrule import MONTHLY, rrule


def check():
    assert date(2024, 1, 31) + relativedelta(months=1) == date(2024, 2, 29)
    assert date(2026, 11, 30) + relativedelta(weekday=FR(+1)) == date(2026, 12, 4)
    coupons = list(rrule(MONTHLY, interval=6, count=3, dtstart=datetime(2026, 1, 15)))  # noqa: DTZ001  # a wall clock time
    assert [day.month for day in coupons] == [1, 7, 1]
    assert easter(2026) == date(2026, 4, 5)
