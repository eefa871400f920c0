import pytest

from host.rest.json_body import (
    DuplicateKeyError,
    JsonInvalidError,
    json_or_text,
    parse_json,
    unwrapped,
)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b'{"a": NaN}',
        b"[Infinity]",
        b'"\xff"',
        b'"\\ud800"',
        '{"a": 1}'.encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b"[" * 200_000,
        b"1" * 5000,
    ],
)
def test_text_that_is_no_strict_json_is_refused(text):
    with pytest.raises(JsonInvalidError):
        parse_json(text)


def test_a_key_twice_is_refused_at_any_depth():
    with pytest.raises(DuplicateKeyError, match="'b' twice"):
        parse_json('{"a": [{"b": 1, "b": 1}]}')


def test_surrogate_pairs_are_characters():
    assert parse_json('"\\ud83d\\ude00"') == "\U0001f600"


def test_a_body_may_be_wrapped_under_its_parameter_name():
    inner = {"x500Name": "n"}
    fields = {"x500Name", "cpiFileChecksum"}
    assert unwrapped({"request": inner}, parameter="request", fields=fields) == inner
    assert unwrapped(inner, parameter="request", fields=fields) == inner


def test_only_a_lone_wrapper_counts():
    both = {"request": {"a": 1}, "other": 2}
    assert unwrapped(both, parameter="request", fields=set()) == both
    own = {"context": {"a": "b"}}
    assert unwrapped(own, parameter="context", fields={"context"}) == own
    assert unwrapped({"request": 5}, parameter="request", fields=set()) == {"request": 5}


@pytest.mark.parametrize(
    ("text", "value"),
    [('{"a": 1}', {"a": 1}), ("[1]", [1]), ("plain", "plain"), ("", ""), ('"x"', "x")],
)
def test_escaped_json_is_parsed_and_other_text_stays(text, value):
    assert json_or_text(text) == value


def test_escaped_json_with_a_key_twice_is_not_taken_for_text():
    with pytest.raises(DuplicateKeyError):
        json_or_text('{"a": 1, "a": 2}')
