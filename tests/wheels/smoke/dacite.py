from dataclasses import dataclass
from enum import Enum

import dacite


def check():
    class Side(Enum):
        BUY = "buy"

    @dataclass
    class Leg:
        amount: int
        note: str | None = None

    @dataclass
    class Trade:
        side: Side
        legs: list[Leg]

    trade = dacite.from_dict(
        Trade, {"side": "buy", "legs": [{"amount": 1}]}, config=dacite.Config(cast=[Enum])
    )
    assert trade == Trade(Side.BUY, [Leg(1)])
    try:
        dacite.from_dict(Leg, {"amount": "1"})
    except dacite.WrongTypeError as refused:
        assert refused.field_path == "amount"  # noqa: PT017  # no pytest in a sandbox
    else:
        raise AssertionError("a text was taken for a number")
