"""YAML input: what JSON can say, and nothing that hides something."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.cli.strict_yaml import YamlRefusedError, parse_yaml


def parse(text: str | bytes):
    return parse_yaml(text.encode() if isinstance(text, str) else text, bytes_max=10_000)


def test_ordinary_documents() -> None:
    text = "endpoint: https://a:1\nendpointProtocol: 1\nmembers:\n  - {name: 'O=A, C=GB'}\n"
    assert parse(text) == {
        "endpoint": "https://a:1",
        "endpointProtocol": 1,
        "members": [{"name": "O=A, C=GB"}],
    }
    assert parse("") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &x [1]\nb: *x", "line 2, column 4: an alias"),
        ("a: 1\na: 2", "line 2, column 1: key 'a' twice"),
        ("1: x", "a key that is no text"),
        ("<<: {a: 1}", "a key that is no text"),
        ("a: 2026-01-01", "a value of type timestamp"),
        ("a: !!binary AAAA", "a value of type binary"),
        ("a: !!python/object/apply:os.system [x]", "a value of type python/object"),
        ("a: !!set {x, y}", "a value of type set"),
        ("[" * 100, "nested deeper than 64"),
        ("a: [", "expected"),
        ("a: 1\n---\nb: 2", "expected a single document"),
        (b"\xff", "utf-8"),
        ("a: " + "x" * 20_000, "more than 10000 bytes"),
    ],
)
def test_what_is_refused(text: str | bytes, words: str) -> None:
    with pytest.raises(YamlRefusedError) as refused:
        parse(text)
    assert words in str(refused.value)


@pytest.mark.property
@settings(deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(10**9), 10**9)
        | st.text("ab:-#'\" \n", max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text("ab", max_size=3), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_json_is_yaml(document: object) -> None:
    assert parse(json.dumps(document)) == document
