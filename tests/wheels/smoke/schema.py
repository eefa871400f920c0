from schema import And, Optional, Schema, SchemaError, Use


def check():
    trade = Schema(
        {"isin": And(str, lambda text: len(text) == 12), Optional("amount", default=1): Use(int)}
    )
    assert trade.validate({"isin": "US0378331005", "amount": "7"})["amount"] == 7
    try:
        trade.validate({"isin": "US"})
    except SchemaError as refused:
        assert "isin" in str(refused)  # noqa: PT017  # no pytest in a sandbox
    else:
        raise AssertionError("a short ISIN was taken")
