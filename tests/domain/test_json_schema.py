"""JSON Schemas that were written to keep the host busy, and those that were not."""

from typing import Any

import pytest

from host.domain import json_schema_keywords
from host.domain.call_time import limited_call
from host.domain.capability_error import CapabilityError
from host.domain.json_schema import JsonSchema, JsonSchemaInvalidError
from host.domain.pattern_weight import weight_of

SLOW = "^(a|a)*$"
SLOW_TEXT = "a" * 200 + "b"
DOUBLING = {f"n{n}": {"allOf": [{"$ref": f"#/$defs/n{n + 1}"}] * 2} for n in range(60)}


def misfit(schema, value):
    found = JsonSchema(schema).misfit(value)
    return None if found is None else (found.path, found.message)


def test_constants_are_told_in_the_words_of_json():
    assert misfit({"type": "object"}, None) == ("$", "null is not of type 'object'")
    assert misfit({"type": "string"}, True) == ("$", "true is not of type 'string'")
    assert misfit({"type": "string"}, 5) == ("$", "5 is not of type 'string'")


@pytest.mark.parametrize(
    ("schema", "value", "path"),
    [
        ({"pattern": SLOW}, SLOW_TEXT, "$"),
        ({"patternProperties": {SLOW: {}}, "additionalProperties": False}, {SLOW_TEXT: 1}, None),
        ({"patternProperties": {SLOW: False}}, {SLOW_TEXT: 1}, None),
        ({"propertyNames": {"pattern": SLOW}}, {SLOW_TEXT: 1}, "$"),
        ({"$ref": "#"}, 1, "$"),
        ({"$ref": "#/$defs/n0", "$defs": {**DOUBLING, "n60": {"type": "string"}}}, "a", "$"),
        ({"uniqueItems": True}, [{"n": n} for n in range(50_000)], None),
    ],
)
def test_no_schema_keeps_the_host_busy(schema, value, path, monkeypatch):
    work = 100_000 if "uniqueItems" in schema else 10_000  # the former looks at many and is well
    monkeypatch.setattr(json_schema_keywords, "WORK_MAX", work)
    found = misfit(schema, value)
    if path is None:
        path = f"$.{SLOW_TEXT}" if schema.get("additionalProperties") is False else None
    assert (found and found[0]) == path


def test_work_is_counted_by_the_size_of_what_is_looked_at(monkeypatch):
    monkeypatch.setattr(json_schema_keywords, "WORK_MAX", 1_000)
    many = {"allOf": [{"items": {}}] * 20}
    assert misfit(many, [0] * 10) is None
    assert misfit(many, [0] * 100) == ("$", "it is too large to be checked against its schema")


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": r"(?:.{0,40}a){20}\b\d"},
        {"pattern": r"(?i)[\w ]{40}\b!"},
        {"patternProperties": {r"(?:.{0,40}a){20}\b\d": {}}},
    ],
)
def test_a_search_is_paid_for_before_it_is_made(schema, monkeypatch):
    """Text times automaton: one search is a single call that nothing can interrupt."""
    text = "a\N{LATIN SMALL LETTER E WITH ACUTE} " * 100_000
    value = {text: 1} if "patternProperties" in schema else text
    monkeypatch.setattr(json_schema_keywords, "linear_pattern", Refusing)
    assert misfit(schema, value) == ("$", "it is too large to be checked against its schema")


class Refusing:
    """A compiled pattern that must not be searched for."""

    def __init__(self, pattern):
        self.weight = weight_of(pattern)

    def occurs_in(self, text):
        pytest.fail("a search was made that had not been paid for")


@pytest.mark.parametrize("pattern", ["^[a-z ]*$", r"^[^\n]+$", "b$"])
def test_a_megabyte_is_searched_for_a_plain_pattern(pattern):
    assert misfit({"pattern": pattern}, "a" * 1_000_000 + "b") is None


def test_patterns_that_are_too_heavy_to_compile_are_left_to_the_guest():
    assert misfit({"pattern": r"\w{400}x"}, "a") is None


@pytest.mark.parametrize(
    ("pattern", "least"),
    [("abc", 3), ("a{100}", 100), ("(ab){10}", 20), ("((a{10}){10}){10}", 1000), (r"[\w]{30}", 30_000),
     (r"\w{30}", 30_000), ("a{5,}", 6), ("(?:.{0,40}a){20}", 8000), ("(?P<n>a{7})", 7), ("[]]{9}", 90), ("(?i)abc", 12)],
)  # fmt: skip
def test_a_patterns_weight_grows_with_its_repetitions(pattern, least):
    assert least <= weight_of(pattern) <= 40 * least


def test_all_checks_of_a_host_call_share_its_time():
    passed = iter(range(1_000_000))
    schema = JsonSchema({"items": {"type": "integer"}})

    def checks():
        with limited_call(lambda: float(next(passed)), seconds_max=50):
            return [schema.misfit([1, 2, 3]) for _ in range(20)]

    with pytest.raises(CapabilityError) as late:
        checks()
    assert late.value.code == "host-call-too-slow"
    assert next(passed) <= 60


def test_an_enum_is_paid_for_by_its_length(monkeypatch):
    schema = {"enum": [[n] for n in range(1000)]}
    once, often = JsonSchema(schema), JsonSchema({"allOf": [schema] * 10})
    monkeypatch.setattr(json_schema_keywords, "WORK_MAX", 1_000)
    assert once.misfit([999]) is None
    assert often.misfit([999]) is not None


@pytest.mark.parametrize(
    ("schema", "good", "bad", "path"),
    [
        ({"pattern": "^-?[0-9]+$"}, "-12", "1a", "$"),
        ({"pattern": "b"}, "abc", "a", "$"),
        ({"patternProperties": {"^n_": {"type": "integer"}}}, {"n_a": 1}, {"n_a": "1"}, "$.n_a"),
        (
            {"patternProperties": {"^n_": {}}, "additionalProperties": {"type": "integer"}},
            {"n_a": "x", "b": 1},
            {"b": "x"},
            "$.b",
        ),
        (
            {"properties": {"a": {}}, "additionalProperties": False},
            {"a": 1},
            {"a": 1, "b": 1},
            "$.b",
        ),
        ({"required": ["a"]}, {"a": 1}, {}, "$.a"),
        ({"uniqueItems": True}, [1, True, "1", [1]], [{"a": 1, "b": 2}, {"b": 2, "a": 1.0}], "$"),
        ({"uniqueItems": True}, [2**60, {"a": 2**60}], [1, {"a": 2**60}, {"a": 2**60}], "$"),
        ({"$ref": "#/$defs/n", "$defs": {"n": {"minimum": 1}}}, 1, 0, "$"),
        (
            {"properties": {"next": {"$ref": "#"}}, "required": ["v"]},
            {"v": 1, "next": {"v": 2}},
            {"v": 1, "next": {}},
            "$.next.v",
        ),
    ],
)
def test_what_a_schema_says_holds(schema, good, bad, path):
    assert misfit(schema, good) is None
    found = misfit(schema, bad)
    assert found is not None
    assert found[0] == path


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "(a{1000}){1000}", "a" * 2000])
def test_a_pattern_that_cannot_be_run_is_left_to_the_guest(pattern):
    assert misfit({"pattern": pattern}, "x") is None
    assert (
        misfit({"patternProperties": {pattern: {}}, "additionalProperties": False}, {"x": 1})
        is None
    )


def test_a_value_that_is_nested_too_deeply_is_refused():
    deep = []
    for _ in range(5_000):
        deep = [deep]
    assert misfit({"items": {"$ref": "#"}}, deep) == ("$", "it is nested too deeply")


def test_what_is_no_schema_is_refused():
    with pytest.raises(JsonSchemaInvalidError, match="no-type"):
        JsonSchema({"type": "no-type"})


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"not": {"type": "string"}}, 1, "a"),
        ({"not": {"not": {"type": "string"}}}, "a", 1),
        ({"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"minimum": 3}}, "ab", "a"),
        ({"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"minimum": 3}}, 3, 2),
        ({"oneOf": [{"type": "string"}, {"type": ["string", "integer"]}]}, 1, "a"),
        ({"contains": {"const": 1}}, [2, 1], [2, 3]),
        ({"contains": {"const": 1}, "minContains": 2}, [1, 1], [1, 2]),
        ({"contains": {"const": 1}, "maxContains": 1}, [1, 2], [1, 1]),
        ({"contains": {"contains": {"const": 1}}}, [[1]], [[2]]),
        ({"contains": {"not": {"type": "string"}}}, ["a", 1], ["a"]),
        ({"items": {"oneOf": [{"not": {"type": "null"}}, False]}}, [1], [None]),
        ({"dependentSchemas": {"a": {"required": ["b"]}}}, {"a": 1, "b": 2}, {"a": 1}),
        ({"propertyNames": {"not": {"const": "a"}}}, {"b": 1}, {"a": 1}),
    ],
)
def test_schemas_within_schemas_are_judged_by_their_own_keywords(
    schema: dict[str, object], good: object, bad: object
) -> None:
    checked = JsonSchema(schema)
    assert checked.misfit(good) is None
    misfit = checked.misfit(bad)
    assert misfit is not None
    assert "nested" not in misfit.message


def test_a_value_of_no_alternative_is_told_the_kinds_that_there_are() -> None:
    def kind(name: str) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {"$type": {"const": name}},
            "required": ["$type"],
        }

    schema = JsonSchema({"anyOf": [kind("b.Limit"), kind("a.Market"), {"type": "null"}]})
    for value in ({}, {"$type": "c.Other"}):
        misfit = schema.misfit(value)
        assert misfit is not None
        assert misfit.message.endswith("; expected `$type`: a.Market, b.Limit")
