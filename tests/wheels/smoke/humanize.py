from datetime import timedelta

import humanize


def check():
    assert humanize.intcomma(1234567) == "1,234,567"
    assert humanize.naturalsize(3_000_000) == "3.0 MB"
    assert humanize.ordinal(23) == "23rd"
    assert humanize.intword(1_200_000) == "1.2 million"
    assert humanize.naturaldelta(timedelta(days=3)) == "3 days"
    assert humanize.metric(1500, "V") == "1.50 kV"
