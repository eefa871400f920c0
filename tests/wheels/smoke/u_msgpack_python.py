from datetime import UTC, datetime

import umsgpack


def check():
    trade = {
        "isin": "US0378331005",
        "amounts": [1, -5, 2**40],
        "raw": b"\x00",
        "rate": 1.5,
        "none": None,
    }
    assert umsgpack.unpackb(umsgpack.packb(trade)) == trade
    assert umsgpack.packb({"a": 1}) == bytes.fromhex("81a16101")
    day = datetime(2026, 11, 30, tzinfo=UTC)
    assert umsgpack.unpackb(umsgpack.packb(day)) == day
