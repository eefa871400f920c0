from datetime import date

from workalendar.europe import Switzerland


def check():
    calendar = Switzerland()
    assert not calendar.is_working_day(date(2026, 8, 1))
    assert calendar.add_working_days(date(2026, 12, 24), 1) == date(2026, 12, 28)
