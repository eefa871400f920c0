from dataclasses import dataclass

import cattrs
from attrs import define


def check():
    @define
    class Leg:
        isin: str
        amounts: list[int]

    @dataclass
    class Trade:
        legs: dict[str, Leg]

    data = {"legs": {"near": {"isin": "US0378331005", "amounts": [1, 2]}}}
    trade = cattrs.structure(data, Trade)
    assert trade.legs["near"] == Leg("US0378331005", [1, 2])
    assert cattrs.unstructure(trade) == data
    try:
        cattrs.structure({"legs": {"near": {"isin": "x"}}}, Trade)
    except Exception as refused:  # noqa: BLE001  # looked at below
        assert "amounts" in str(cattrs.transform_error(refused))  # noqa: PT017  # no pytest in a sandbox
    else:
        raise AssertionError("a missing field was taken")
