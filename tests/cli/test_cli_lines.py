"""Lines of commands."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import host.cli
from host.cli.lines import fixed_width, json_text
from host.domain.printable import printable_lines


@pytest.mark.parametrize(
    ("answered", "shown"),
    [
        ("2026-11-30T18:17:25Z", "2026-11-30T18:17:25.000000Z"),
        ("2026-11-30T18:17:25.657000Z", "2026-11-30T18:17:25.657000Z"),
        ("2026-11-30T18:17:25.657Z", "2026-11-30T18:17:25.657000Z"),
        ("yesterday", "yesterday"),
        ("None", "None"),
    ],
)
def test_an_instant_has_the_same_width_also_at_a_whole_second(answered, shown):
    assert fixed_width(answered) == shown


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(_VALUES, st.sampled_from([None, 2]))
def test_json_for_a_terminal_is_printable_and_says_the_same(value, indent):
    text = json_text(value, indent=indent)
    assert text.replace("\n", "").isprintable()
    assert json.loads(text) == value


def test_json_for_a_terminal_escapes_what_acts_on_it_alone():
    value = "é 漢 \x9b2J \u202e \ud800 \x1b[2J"
    assert json_text(value) == r'"é 漢 \u009b2J \u202e \ud800 \u001b[2J"'


def test_lines_are_escaped_each_for_itself():
    assert printable_lines("a\x1b[2J\n\u202eb") == r"a\x1b[2J" + "\n" + r"\u202eb"


@pytest.mark.parametrize(
    "module", sorted(Path(host.cli.__file__).parent.glob("*.py")), ids=lambda p: p.stem
)
def test_commands_print_json_in_one_way(module):
    assert module.stem == "lines" or "ensure_ascii=False" not in module.read_text(encoding="utf-8")
