import fastjsonschema


def check():
    check = fastjsonschema.compile(
        {
            "type": "object",
            "properties": {"amount": {"type": "integer", "minimum": 1}},
            "required": ["amount"],
        }
    )
    assert check({"amount": 3}) == {"amount": 3}
    try:
        check({"amount": 0})
    except fastjsonschema.JsonSchemaValueException as refused:
        assert refused.path == ["data", "amount"]  # noqa: PT017  # no pytest in a sandbox
    else:
        raise AssertionError("a small amount was taken")
