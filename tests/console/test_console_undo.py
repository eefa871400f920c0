"""What takes an action back is sealed to the session that did it."""

import pytest

from host.console.undo import UNDO_CHARACTERS_MAX, Undo, opened

TOKEN, OTHER = "a" * 64, "b" * 64
UNDO = Undo(path="/console/nodes/0123456789AB/quota", fields={"seen": "{}", "quota-fuelMax": "5"})


def test_it_is_opened_in_its_own_session_alone() -> None:
    text = UNDO.sealed(TOKEN)
    assert opened(TOKEN, text) == UNDO
    assert opened(OTHER, text) is None


@pytest.mark.parametrize("text", ["", ".", "x", "x.y", "é.é", "." + "0" * 32, "9" * 9000])
def test_other_texts_are_nothing(text: str) -> None:
    assert opened(TOKEN, text) is None


def test_each_character_counts() -> None:
    text = UNDO.sealed(TOKEN)
    for at in range(len(text)):
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        assert opened(TOKEN, changed) is None


def test_what_is_too_long_for_a_query_cannot_be_taken_back() -> None:
    long = Undo(path="/console", fields={"a": "x" * UNDO_CHARACTERS_MAX})
    assert long.sealed(TOKEN) == ""
