"""Long strings of JSON texts, which are read by themselves."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.domain import guest_text, json_strings
from host.domain.guest_text import GuestTextError, RuleError, checked_json
from host.domain.json_strings import BLOCK, LONG, read_string, without_long_strings

LINE = r"\u0001" * (LONG // 6 + 1)


@pytest.mark.parametrize(
    "characters",
    ["x", r"\u0001", r"\\", r"\"\n\u00e9y", r"\ud83d\ude00", r"\\ud83d", "\N{SNOWMAN}"],
)
@pytest.mark.parametrize("before", ["", "y", "yy\\\\"])
def test_a_string_of_megabytes_is_read_in_blocks(
    characters: str, before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else has the interpreter while one block is read."""
    read: list[int] = []

    class Recording:
        def decode(self, text: str) -> str:
            read.append(len(text))
            return decoder.decode(text)

    decoder = json_strings._decoder
    monkeypatch.setattr(json_strings, "_decoder", Recording())
    text = f'"{before}{characters * (300_000 // len(characters))}"'
    assert checked_json(text) == json.loads(text)
    assert max(read) <= BLOCK + 2
    assert len(read) <= len(text) // BLOCK + 2


@pytest.fixture
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks, and what is long, of a few characters."""
    monkeypatch.setattr(json_strings, "BLOCK", 32)
    monkeypatch.setattr(json_strings, "LONG", 8)
    monkeypatch.setattr(guest_text, "BLOCK", 8)


SPELT = st.lists(
    st.sampled_from(["a", '"', "\\", "/", "\n", "\x7f", "\u00e9", "\U0001f600", "{", ",", ":", "1" * 40, "\\\\" * 3])
).map("".join)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.integers() | SPELT,
    lambda inner: st.lists(inner) | st.dictionaries(SPELT, inner),
    max_leaves=12,
)


@given(VALUES, st.booleans())
@pytest.mark.usefixtures("short_blocks")
def test_a_text_with_long_strings_has_the_value_that_json_gives_it(
    value: Any, is_ascii: bool
) -> None:
    assert checked_json(json.dumps(value, ensure_ascii=is_ascii)) == value


PIECES = st.sampled_from(
    ['"', "\\", "\\\\", "\\u", "\\ud83d", "\\ude00", "\\u0000", "a" * 9, "[", "]", "{", "}", ",", ":", "1", "NaN",
     "Infinity", "\ud800", "\x01", '"a":1,', " "]
)  # fmt: skip


@given(st.lists(PIECES, max_size=30).map("".join))
@pytest.mark.usefixtures("short_blocks")
def test_what_is_read_apart_is_what_all_rules_let_pass(text: str) -> None:
    quick = guest_text._plainly_sound(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guest_text, "_plainly_sound", lambda text: None)
        if quick is not None:
            assert checked_json(text) == quick[0]


@given(SPELT)
@pytest.mark.usefixtures("short_blocks")
def test_a_string_is_read_in_blocks_wherever_they_end(value: str) -> None:
    for spelt in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        assert read_string(spelt, 1, len(spelt) - 1) == value


def test_the_rest_of_a_text_has_a_placeholder_for_each_long_string() -> None:
    text = json.dumps({"a": "x" * 5000, "b": ["short", 'q"\\' * 1000]})
    assert without_long_strings(text) == (
        '{"a": NaN, "b": ["short", NaN]}',
        ["x" * 5000, 'q"\\' * 1000],
    )


@pytest.mark.parametrize(
    "text", ['["' + '","' * 5000 + '"]', '"' + "x" * 5000, f'["{LINE}", "{LINE}\\u0000"]', f'"{LINE}\\u0000"'],
    ids=["many short strings", "no end", "U+0000", "U+0000 in the whole"],
)  # fmt: skip
def test_other_texts_are_read_as_a_whole(text: str) -> None:
    assert without_long_strings(text) is None


@pytest.mark.parametrize("own", ["[NaN, {}]", "[{}, NaN]", "[Infinity, {}]"])
def test_a_placeholder_in_a_guests_text_stands_for_no_string(own: str) -> None:
    with pytest.raises(RuleError, match="is no number of JSON"):
        checked_json(own.format('"' + "x" * BLOCK + '"'))


def test_a_long_name_is_a_name() -> None:
    text = json.dumps({"x" * BLOCK: 1})
    assert checked_json(text) == json.loads(text)
    with pytest.raises(GuestTextError, match="twice"):
        checked_json(text[:-1] + "," + text[1:])
