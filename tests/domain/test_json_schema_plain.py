"""The plain test of a schema accepts nothing that the keywords refuse."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.domain import json_schema
from host.domain.json_schema import JsonSchema, checked_schema
from host.domain.json_schema_plain import SCHEMAS_MAX, plain_test

_TYPES = ["array", "boolean", "integer", "null", "number", "object", "string"]
_NAMES = st.sampled_from("abc")
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.0, 1.0, 1.5, -2.0]),
    st.text("ab1", max_size=4),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=6,
)


def _with_parts(inner: Any) -> Any:
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(_TYPES) | st.lists(st.sampled_from(_TYPES), min_size=1),
            "properties": st.dictionaries(_NAMES, inner, max_size=3),
            "required": st.lists(_NAMES, unique=True, max_size=2),
            "additionalProperties": st.booleans(),
            "items": inner,
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "enum": st.lists(_SCALARS, min_size=1, max_size=3),
            "const": _SCALARS,
            "minimum": st.integers(-2, 2),
            "exclusiveMinimum": st.integers(-2, 2),
            "maximum": st.integers(-2, 2),
            "exclusiveMaximum": st.integers(-2, 2),
            "minLength": st.integers(0, 3),
            "maxLength": st.integers(0, 3),
            "minItems": st.integers(0, 2),
            "maxItems": st.integers(0, 2),
            "pattern": st.sampled_from(["^a", "1$", "(a|b)+", "(?=a)"]),
            "format": st.just("date"),
            "not": inner,
        },
    )


_SCHEMAS = st.recursive(st.just({}), _with_parts, max_leaves=6)


@given(_SCHEMAS, _VALUES)
def test_what_the_plain_test_accepts_fits(schema: Any, value: Any) -> None:
    test = plain_test(schema)
    if test is not None and test(value):
        assert JsonSchema(schema).misfit(value) is None


_ORDER = {
    "type": "object",
    "title": "Order",
    "properties": {
        "amount": {"type": "integer", "minimum": 1, "maximum": 1000},
        "currency": {"enum": ["EUR", "GBP"]},
        "lines": {"type": "array", "items": {"type": "string", "maxLength": 10}},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["amount"],
    "additionalProperties": False,
}


def test_an_ordinary_request_needs_no_keyword(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = JsonSchema(_ORDER)
    monkeypatch.setattr(schema, "_validator", None)
    order = {"amount": 5, "currency": "EUR", "lines": ["a", "b"], "note": None}
    assert schema.misfit(order, size=100) is None


@pytest.mark.parametrize(
    ("order", "path"),
    [
        ({"amount": True}, "$.amount"),
        ({"amount": 0}, "$.amount"),
        ({"amount": 1, "lines": ["x" * 11]}, "$.lines[0]"),
        ({"amount": 1, "other": 2}, "$.other"),
        ({}, "$.amount"),
        ([], "$"),
    ],
)
def test_what_does_not_fit_is_told_as_ever(order: Any, path: str) -> None:
    found = JsonSchema(_ORDER).misfit(order, size=50)
    assert found is not None
    assert found == JsonSchema(_ORDER).misfit(order)
    assert found.path == path


def test_a_schema_of_many_parts_is_not_simple() -> None:
    parts = {f"n{n}": {"type": "string"} for n in range(SCHEMAS_MAX)}
    assert plain_test({"properties": parts}) is None
    assert plain_test({"$ref": "#"}) is None


def test_a_schema_is_made_once_for_its_object_and_for_its_text() -> None:
    json_schema._seen.clear()
    made = checked_schema(_ORDER)
    assert checked_schema(_ORDER) is made
    assert checked_schema({**_ORDER}) is made
    assert len(json_schema._seen) == 2


@pytest.mark.parametrize(
    ("schema", "value", "fits"),
    [
        ({"properties": {"a": {"type": "null"}}}, [1], True),
        ({"pattern": "^a"}, 1, True),
        ({"pattern": "(?=a)"}, "b", True),
        ({"pattern": "^a"}, "ba", False),
    ],
)
def test_keywords_judge_their_own_types_and_patterns_that_are_supported(
    schema: Any, value: Any, *, fits: bool
) -> None:
    test = plain_test(schema)
    assert test is not None
    assert test(value) is fits


def test_schemas_are_forgotten_when_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    json_schema._seen.clear()
    monkeypatch.setattr(json_schema, "_SCHEMAS_KEPT_MAX", 1)
    kept = [{"const": number} for number in range(3)]
    for schema in kept:
        checked_schema(schema)
    assert len(json_schema._seen) == 1
