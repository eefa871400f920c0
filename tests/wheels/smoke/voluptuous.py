from voluptuous import (
    All,
    Coerce,
    Invalid,
    Length,
    MultipleInvalid,
    Optional,
    Range,
    Required,
    Schema,
)


def check():
    trade = Schema(
        {
            Required("isin"): All(str, Length(min=12, max=12)),
            Optional("amount"): All(Coerce(int), Range(min=1)),
        }
    )
    assert trade({"isin": "US0378331005", "amount": "7"})["amount"] == 7
    try:
        trade({"isin": "US0378331005", "amount": 0})
    except MultipleInvalid as refused:
        assert refused.errors[0].path == ["amount"]  # noqa: PT017  # no pytest in a sandbox
    else:
        raise AssertionError("a small amount was taken")
    assert issubclass(MultipleInvalid, Invalid)
