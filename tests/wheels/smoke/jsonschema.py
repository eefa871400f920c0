import jsonschema


def check():
    schema = {
        "type": "object",
        "required": ["isin"],
        "properties": {"isin": {"pattern": "^[A-Z]{2}"}},
    }
    jsonschema.validate({"isin": "US0378331005"}, schema)
    errors = list(jsonschema.Draft202012Validator(schema).iter_errors({"isin": "1"}))
    assert len(errors) == 1
