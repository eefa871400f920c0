"""The boundary check of guests' texts."""

import json
import math
import re
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host.domain import guest_text
from host.domain.guest_text import (
    MESSAGE_BYTES_MAX,
    NESTING_MAX,
    NUMBER_CHARACTERS_MAX,
    TRACE_LINES_MAX,
    GuestTextError,
    RuleError,
    check_result,
    checked_json,
    cut_line,
    cut_message,
    cut_trace,
    mended_json,
    whole_characters,
)
from host.domain.json_strings import BLOCK


@pytest.fixture
def eager() -> Iterator[None]:
    """Threads change places as soon as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def test_other_threads_run_while_a_long_array_is_read(eager: None) -> None:
    """The other thread has its turns within one call of the decoder."""
    text = "[" + "1," * 2 * BLOCK + "1]"
    turns, is_over = [0], threading.Event()

    def other() -> None:
        while not is_over.is_set():
            turns[0] += 1
            time.sleep(0)

    def read() -> int:
        before = turns[0]
        guest_text._decoder_of(text).raw_decode(text)
        return turns[0] - before

    thread = threading.Thread(target=other)
    thread.start()
    try:
        # On a busy machine the other thread may have no processor for as long as one reading takes.
        assert any(read() > 10 for _ in range(50))
    finally:
        is_over.set()
        thread.join()
    assert guest_text._decoder_of("[1]") is guest_text._decoder


HALVES = ("\\ud83d", "\\uDE00", "\\ude00\\ud83d", "\\ud83d\\n", "\\\\\\ud83d", "\\ud83dx")


@pytest.mark.parametrize("half", HALVES)
def test_half_characters_are_refused_as_values_and_as_names(half: str) -> None:
    for text in (f'["{half}"]', f'{{"{half}": 1}}'):
        with pytest.raises(RuleError, match="half a character"):
            checked_json(text)
        mended = checked_json(mended_json(text))
        assert "\N{REPLACEMENT CHARACTER}" in json.dumps(mended, ensure_ascii=False)


def test_whole_characters_pass_however_they_are_spelt() -> None:
    text = '["\\ud83d\\ude00", "\\\\ud83d", "\U0001f600", "\\uFFFD"]'
    assert checked_json(text) == ["\U0001f600", "\\ud83d", "\U0001f600", "\ufffd"]
    assert mended_json(text) == text


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_nesting_is_bounded_without_recursion(opening: str, closing: str) -> None:
    each = opening.count("[") + opening.count("{")
    fits = NESTING_MAX // each
    checked_json(opening * fits + "1" + closing * fits)
    for levels in (fits + 1, 3000, 100_000):
        with pytest.raises(RuleError, match="nested"):
            checked_json(opening * levels + "1" + closing * levels)
    with pytest.raises(RuleError, match="nested"):
        checked_json(opening * 3000)


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
def test_a_text_of_many_objects_is_read_at_once_if_it_is_flat(opening: str) -> None:
    each = opening.count("[") + opening.count("{")

    def many(depth: int) -> str:
        times = (depth - 1) // each
        inner = "[" * ((depth - 1) % each) + opening * times
        closed = "".join({"[": "]", "{": "}"}.get(c, "") for c in reversed(inner))
        return f"[{inner}1{closed}{',{}' * 100}]"

    for depth in range(2, NESTING_MAX + 1):
        value = json.loads(many(depth))
        assert guest_text._plainly_sound(many(depth)) == (value, len(many(depth)))
    for depth in (NESTING_MAX + 1, NESTING_MAX + 2, 500):
        assert guest_text._plainly_sound(many(depth)) is None
        with pytest.raises(RuleError, match="deep, at most"):
            checked_json(many(depth))


def test_brackets_in_strings_are_no_nesting() -> None:
    value = {"a": "[" * 1000 + '\\"[{' * 100}
    assert checked_json(json.dumps(value)) == value


@pytest.mark.parametrize(
    "number",
    ["1e999", "-1e999", "1E+400", "1e0309", "NaN", "Infinity", "-Infinity", "9" * 5000, "1" + "0" * 309,
     "0." + "1" * 1100, "1" * 250 + "e99", "-1." + "0" * 5000 + "1"],
)  # fmt: skip
def test_numbers_that_are_not_finite_or_too_long_are_refused(number: str) -> None:
    for text in (number, f"[1,{number}]", f'{{"a":{number}}}'):
        with pytest.raises(RuleError):
            checked_json(text)


@pytest.mark.parametrize(
    "number", ["1e308", "-1.5e-300", "1" + "0" * 308, str(10**40), "0", "-0.0"]
)
def test_other_numbers_are_exact(number: str) -> None:
    assert checked_json(number) == json.loads(number)


@pytest.mark.parametrize("text", ['{"a":1,"a":1}', '[{"b":{"a":1,"\\u0061":2}}]'])
def test_a_key_stands_once_in_an_object(text: str) -> None:
    with pytest.raises(RuleError, match="twice"):
        checked_json(text)


def test_the_number_of_values_is_bounded() -> None:
    most = guest_text.VALUES_MAX
    checked_json("[" + "1," * (most - 1) + "1]")
    for text in (
        "[" + "1," * (most + 1) + "1]",
        "[" + "[]," * most + "1]",
        '["' + '","' * (most + 1) + '"]',
    ):
        with pytest.raises(RuleError, match="values"):
            checked_json(text)


@pytest.mark.parametrize(
    "text", ["", "[", "{}{}", "[1,]", "'a'", '"', '"\\"', "]" * 100, "nul", "\ufeff1"]
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(GuestTextError):
        checked_json(text)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=30,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(JSON, st.booleans())
def test_what_json_writes_is_read_back(value: Any, is_ascii: bool) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii)
    assert checked_json(text) == value
    assert mended_json(text) == text


PIECES = st.sampled_from(
    ["[", "]", "{", "}", ",", ":", '"', "\\", "\\u", "\\ud83d", "\\ude00", "d800", "a", "1", "-", "1e99", "e999", ".",
     "0" * 200, "null", "true", "NaN", " ", "\n", "\ud800", "\x00", "\\u0000", '"a":1,', "[" * 65, "9" * 1024]
)  # fmt: skip


@given(st.lists(PIECES, max_size=40).map("".join))
def test_any_text_is_a_sound_value_or_a_refusal(text: str) -> None:
    """Against a naive reader: nothing else is raised, and what passes is sound throughout."""
    check_result_is_total(text)
    try:
        value = checked_json(text)
    except GuestTextError:
        return
    assert value == json.loads(text)
    _assert_sound(value, depth=1)
    whole_characters(cut_message(text)).encode()


@given(st.lists(PIECES, max_size=40).map("".join) | JSON.map(json.dumps))
def test_what_is_read_at_once_is_what_all_rules_let_pass(text: str) -> None:
    quick = guest_text._plainly_sound(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guest_text, "_plainly_sound", lambda text: None)
        if quick is not None:
            assert checked_json(text) == quick[0]


@pytest.mark.parametrize(
    "text",
    ["{}", '{"id":"SHA-256D:3E1234","n":[1.5e2,"\\u00e9\\n",null]}', '{"a":"' + "\u00e9" * 9000 + '"}'],
    ids=["empty", "ordinary", "long"],
)  # fmt: skip
def test_an_ordinary_request_is_read_at_once(text: str) -> None:
    """Every host call pays for this check: what is ordinary must not take all its searches."""
    assert guest_text._plainly_sound(text) == (json.loads(text), len(text))


@pytest.mark.parametrize(
    "text",
    ['"\\u0000"', '{"a\\u0000":1}', '["\\\\\\u0000"]', '["é\\u0000"]', '{"a":{"b":"x\\u0000"}}'],
)
def test_a_character_that_databases_cannot_store_is_refused_by_name_and_mended(text: str) -> None:
    with pytest.raises(RuleError, match="U\\+0000"):
        checked_json(text)
    assert "\0" not in json.dumps(checked_json(mended_json(text)), ensure_ascii=False)
    with pytest.raises(RuleError, match="U\\+0000"):
        check_result("plain\0text")
    assert checked_json('"\\\\u0000"') == "\\u0000"  # a backslash and five characters
    assert whole_characters("a\0b") == "a\N{REPLACEMENT CHARACTER}b"


def check_result_is_total(text: str) -> None:
    try:
        check_result(text)
    except RuleError:
        return
    text.encode()


def _assert_sound(value: Any, depth: int) -> None:
    if isinstance(value, dict | list):
        assert depth <= NESTING_MAX
        for inner in [*value, *value.values()] if isinstance(value, dict) else value:
            _assert_sound(inner, depth + 1)
    elif isinstance(value, str):
        value.encode()
        assert "\0" not in value
    elif isinstance(value, int | float):
        assert math.isfinite(value)


@pytest.mark.parametrize(
    "result",
    ["[" * 900 + "]" * 900, '{"a":1,"a":2}', "[1e999]", "1e999", '"\\ud83d"', " [NaN] ", "\ud83d"],
)
def test_a_result_that_readers_of_json_take_differently_is_refused(result: str) -> None:
    with pytest.raises(RuleError):
        check_result(result)


@pytest.mark.parametrize(
    "result",
    [
        "",
        "plain",
        "[see above",
        "a" * 5000,
        "[" * 900,
        "NaN",
        '{"a":[1,2.5,null]}',
        "1e5",
        "{not json}",
        '"x"',
    ],
)
def test_other_results_pass(result: str) -> None:
    check_result(result)


@given(st.text(), st.integers(40, 200))
def test_a_cut_keeps_whole_characters_and_says_so(text: str, bytes_max: int) -> None:
    cut = cut_message(text, bytes_max)
    assert len(cut.encode()) <= bytes_max
    assert cut == whole_characters(text) or "[cut: " in cut
    assert cut_message(cut, bytes_max) == cut
    line = cut_line(text, 40)
    assert len(line) <= 40
    assert line == whole_characters(text) or line.endswith("...[cut]")


def test_a_message_of_megabytes_is_cut_between_characters() -> None:
    cut = cut_message("\U0001f600" * 1_000_000)
    assert len(cut.encode()) <= MESSAGE_BYTES_MAX
    assert cut.endswith("[cut: 8192 of 4000000 bytes]")
    assert set(cut.partition(" ")[0]) == {"\U0001f600"}


def test_a_trace_keeps_its_innermost_lines() -> None:
    cut = cut_trace([f"a.py:{n} {'f' * 1000}" for n in range(1000)])
    assert len(cut) == TRACE_LINES_MAX
    assert cut[0] == "[cut: 951 more lines]"
    assert cut[-1].startswith("a.py:999 ")
    assert max(map(len, cut)) == guest_text.TRACE_LINE_CHARACTERS_MAX
    assert cut_trace(cut) == cut


@pytest.mark.parametrize("before", range(BLOCK - 302, BLOCK + 2, 19))
@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        (r'"\ud83d"', "half a character"),
        (r'"\u0000"', "U+0000"),
        ("1" * (NUMBER_CHARACTERS_MAX + 1), "characters, at most"),
        ("9" * 400, "not finite"),
        ("[" * (NESTING_MAX + 1) + "]" * (NESTING_MAX + 1), "deep"),
    ],
)
def test_a_rule_is_kept_wherever_a_text_is_divided(before: int, bad: str, rule: str) -> None:
    """Long texts are searched block by block."""
    with pytest.raises(RuleError, match=re.escape(rule)):
        checked_json(f'["{"x" * before}",{bad}]')


@pytest.mark.parametrize("bad", ['" "', "\\", "\\x", "\\u00", "\x01"])
@pytest.mark.parametrize("before", [BLOCK - 3, BLOCK, 3 * BLOCK])
def test_what_is_no_string_is_refused_in_whatever_block(before: int, bad: str) -> None:
    text = f'"{"x" * before}{bad}{"y" * BLOCK}"'
    with pytest.raises(GuestTextError):
        checked_json(text)
    assert check_result(text) is guest_text.is_json(text) is False


@given(st.one_of(st.text(), st.sampled_from(["true", " null\n", "1e5", '"a"', "[1]", "{1}", "-"])))
def test_the_check_of_a_result_says_whether_it_is_json(text: str) -> None:
    try:
        found = check_result(text)
    except RuleError:
        return
    assert found is guest_text.is_json(text)
