from marshmallow import Schema, ValidationError, fields, post_load, validate


def check():
    class TradeSchema(Schema):
        isin = fields.String(required=True, validate=validate.Length(equal=12))
        amount = fields.Decimal(as_string=True)
        day = fields.Date()

        @post_load
        def make(self, data, **_):
            return ("trade", data["isin"], data["amount"], data["day"].year)

    loaded = TradeSchema().load({"isin": "US0378331005", "amount": "1.50", "day": "2026-11-30"})
    assert loaded[0] == "trade"
    assert str(loaded[2]) == "1.50"
    assert loaded[3] == 2026
    try:
        TradeSchema().load({"isin": "US"})
    except ValidationError as refused:
        assert refused.messages == {"isin": ["Length must be 12."]}  # noqa: PT017  # no pytest in a sandbox
    else:
        raise AssertionError("a short ISIN was taken")
