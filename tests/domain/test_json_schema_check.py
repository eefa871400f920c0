"""Schemas of packages are checked on their own: no other document is read, whatever they say."""

import http.server
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from host.domain import json_schema_keywords
from host.domain.json_schema import JsonSchema, JsonSchemaInvalidError, limited_schema_work
from tests.support.properties import examples

DIALECT = "https://json-schema.org/draft/2020-12/schema"
BACKTRACKING = "^(a+)+$"


@pytest.fixture
def elsewhere(tmp_path):
    """Addresses of a document on a server and in a file, and what was requested of the server."""
    requested = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requested.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"type": "string"}')

        def log_message(self, *_arguments):
            """Nothing."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    file = Path(tmp_path / "s.json")
    file.write_text('{"type": "string"}')
    yield (f"http://127.0.0.1:{server.server_port}/s", file.as_uri()), requested
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef", "$id", "$schema"])
@pytest.mark.parametrize("place", ["root", "property", "items", "definition", "target"])
def test_no_schema_leads_to_another_document(elsewhere, keyword, place):
    addresses, requested = elsewhere
    for address in addresses:
        part = {keyword: address}
        schema = {
            "root": part,
            "property": {"properties": {"a": part}},
            "items": {"items": part},
            "definition": {"$ref": "#/$defs/a", "$defs": {"a": part}},
            "target": {"$ref": "#/const", "const": part},
        }[place]
        with pytest.raises(JsonSchemaInvalidError, match=address):
            JsonSchema(schema)
    assert requested == []


def test_a_validator_reads_no_document_even_where_the_check_is_wanting(elsewhere):
    (server, file), requested = elsewhere
    for address in (server, file):
        validator = json_schema_keywords.validator({"$ref": address})
        with pytest.raises(Exception, match="Unresolvable"):
            json_schema_keywords.first_error(validator, 1)
    assert requested == []


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"$ref": "#/$defs/a"}, "leads nowhere"),
        ({"$ref": "#a"}, "leads nowhere"),
        ({"$dynamicRef": "#a"}, "leads nowhere"),
        ({"$ref": "#/const", "const": {"maxLength": "1"}}, "not of type 'integer'"),
        ({"$ref": "#/const", "const": {"properties": 5}}, "not of type 'object'"),
        ({"$ref": "#/const", "const": 5}, "not of type 'object', 'boolean'"),
        ({"$ref": "#/const/0", "const": [{"$ref": "#/b"}]}, "leads nowhere"),
        ({"properties": {"a": {"$schema": "http://json-schema.org/draft-07/schema#"}}}, "draft-07"),
    ],
)
def test_what_a_schema_refers_to_is_a_schema_in_it(schema, reason):
    with pytest.raises(JsonSchemaInvalidError, match=reason):
        JsonSchema(schema)


def test_names_of_properties_are_no_keywords():
    schema = JsonSchema({"properties": {"$ref": {}, "$id": {}, "$schema": {"type": "string"}}})
    assert schema.misfit({"$ref": "http://x", "$id": "y", "$schema": "z"}) is None
    assert schema.misfit({"$schema": 1}) is not None


def test_anchors_and_recursion_in_a_schema_hold():
    schema = JsonSchema(
        {
            "$schema": DIALECT,
            "$defs": {"n": {"$anchor": "number", "type": "integer"}},
            "properties": {"a": {"$ref": "#number"}, "next": {"$ref": "#"}},
        }
    )
    assert schema.misfit({"next": {"next": {"a": 1}}}) is None
    assert schema.misfit({"next": {"next": {"a": "1"}}}) is not None


def test_no_part_of_a_schema_gets_keywords_whose_work_is_not_bounded():
    """A dialect in `$schema` brought the library's own, whose patterns take exponential time."""
    part = {"$schema": DIALECT, "pattern": BACKTRACKING}
    for schema in (part, {"properties": {"a": part}}, {"$ref": "#/$defs/a", "$defs": {"a": part}}):
        value = "a" * 64 + "!"
        found = JsonSchema(schema).misfit({"a": value} if "properties" in schema else value)
        assert found is not None
        assert "does not match" in found.message


def wide(count):
    return {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(count)}}


@pytest.fixture
def little_work(monkeypatch):
    monkeypatch.setattr(json_schema_keywords, "WORK_MAX", 10_000)


@pytest.mark.usefixtures("little_work")
def test_the_check_of_a_schema_takes_a_bounded_amount_of_work():
    JsonSchema(wide(500))
    for schema in (wide(1_000), {"enum": list(range(20_000))}, {"allOf": [wide(20)] * 50}):
        with pytest.raises(JsonSchemaInvalidError, match="too large to be checked"):
            JsonSchema(schema)


@pytest.mark.usefixtures("little_work")
def test_all_schemas_of_a_package_share_that_work():
    with limited_schema_work():
        JsonSchema(wide(600))
        with pytest.raises(JsonSchemaInvalidError, match="too large to be checked"):
            JsonSchema(wide(600))
    JsonSchema(wide(600))


SCALARS = st.sampled_from([None, True, 0, -1, 1.5, 2**60, "", "string", "^a", "(", "#", "uuid"])
NAMES = st.sampled_from(
    [*Draft202012Validator.VALIDATORS, "$defs", "$comment", "$anchor", "default", "title", "unknown",
     "definitions", "contentSchema", "if", "then", "else", "examples", "$vocabulary", "format"]
)  # fmt: skip
SCHEMAS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(schema=st.dictionaries(NAMES, SCHEMAS, max_size=4))
@settings(max_examples=examples(200))
def test_the_metaschema_as_one_document_judges_as_the_eight_do(schema):
    try:
        Draft202012Validator.check_schema(schema)
        expected = True
    except SchemaError:
        expected = False
    try:
        JsonSchema(schema)
        found = True
    except JsonSchemaInvalidError as refused:
        own = ("leads out", "leads nowhere", "is not supported")
        found = any(each in refused.message for each in own) or False
        if found:
            return  # refused for more than the metaschema says
    assert found == expected


def deep(schema: dict[str, object], levels: int) -> dict[str, object]:
    for _ in range(levels):
        schema = {"not": schema}
    return schema


ENDLESS: dict[str, dict[str, object]] = {
    "itself": {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
    "each other": {
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}},
        "$ref": "#/$defs/a",
    },
    "by an anchor": {"$dynamicAnchor": "x", "allOf": [{"$dynamicRef": "#x"}]},
    "not": {"not": {"$ref": "#"}},
    "if": {"if": {"$ref": "#"}, "then": {"$ref": "#"}},
    "one of": {"oneOf": [{"$ref": "#"}, {"$ref": "#"}]},
    "contains": {
        "contains": {"$ref": "#/$defs/a"},
        "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}},
    },
}


@pytest.mark.parametrize("calls", range(0, 60, 7))
@pytest.mark.parametrize("schema", ENDLESS.values(), ids=ENDLESS)
def test_a_schema_that_refers_to_itself_without_end_fits_nothing(
    schema: dict[str, object], calls: int
) -> None:
    """Whatever the depth of the stack at which it is checked: some libraries panic at the limit."""

    def misfit(calls: int) -> object:
        return misfit(calls - 1) if calls else JsonSchema(schema).misfit([1])

    assert "nested too deeply" in str(misfit(calls))


def test_a_schema_and_a_value_may_be_nested_as_deep_as_any_text_of_guests() -> None:
    value: object = 1
    for _ in range(64):
        value = [value]
    assert JsonSchema({"items": {"$ref": "#"}}).misfit(value) is None
    assert JsonSchema({"items": {"allOf": [{"$ref": "#"}]}, "type": ["array", "integer"]})
    assert JsonSchema(deep({"type": "string"}, 62)).misfit("a") is None


def test_a_schema_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(JsonSchemaInvalidError, match="nested too deeply"):
        JsonSchema(deep({"type": "string"}, 2_000))
