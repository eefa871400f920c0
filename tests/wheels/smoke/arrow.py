import arrow


def check():
    start = arrow.get("2026-01-31T10:00:00+01:00")
    assert start.shift(months=1).format("YYYY-MM-DD") == "2026-02-28"
    assert start.to("UTC").hour == 9
    assert arrow.get("30.11.2026", "DD.MM.YYYY").date().isoformat() == "2026-11-30"
    assert arrow.get("2026-07-01T12:00:00Z").to("Europe/Zurich").hour == 14
