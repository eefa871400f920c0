import attrs
from attrs import define, field, frozen


def check():
    @define
    class Amount:
        value: int = field(validator=attrs.validators.ge(0))
        currency: str = field(default="EUR", converter=str.upper)

    @frozen
    class Key:
        a: int

    assert Amount(3, "usd") == Amount(3, "USD")
    assert attrs.asdict(Amount(1)) == {"value": 1, "currency": "EUR"}
    assert attrs.evolve(Amount(1), value=2).value == 2
    try:
        Amount(-1)
    except ValueError:
        pass
    else:
        raise AssertionError("a negative amount was taken")
    try:
        Key(1).a = 2
    except attrs.exceptions.FrozenInstanceError:
        pass
    else:
        raise AssertionError("a frozen object was changed")
