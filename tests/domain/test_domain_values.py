"""Small values of the domain: instants, letter case, how refusals show texts, the simulated clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.domain.ascii_case import ascii_lower, ascii_upper
from host.domain.clock import SimClock
from host.domain.instants import instant_ms, instant_text, is_instant
from host.domain.refused import cut, shown

YEAR_9999_MS = 253_402_300_799_999


@given(st.integers(0, YEAR_9999_MS))
def test_an_instant_is_read_back(at):
    assert instant_ms(instant_text(at)) == at


def test_instants_have_one_spelling_and_what_is_less_than_a_millisecond_is_cut_off():
    assert instant_text(1_764_000_000_007) == "2025-11-24T16:00:00.007000Z"
    assert instant_ms("2025-11-24T16:00:00.007999Z") == 1_764_000_000_007


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2025-11-24",
        "2025-11-24T16:00:00Z",
        "2025-11-24T16:00:00.007000+00:00",
        "2025-02-30T16:00:00.000000Z",
        "2025-11-24T24:61:00.000000Z",
        " 2025-11-24T16:00:00.007000Z",
    ],
)
def test_what_is_no_instant_is_refused_by_name(text):
    assert not is_instant(text)
    with pytest.raises(ValueError, match="is no instant"):
        instant_ms(text)


def test_only_ascii_texts_have_another_case():
    assert (ascii_lower("KeY"), ascii_upper("KeY")) == ("key", "KEY")
    kelvin = "\u212aey"
    assert kelvin.lower() == "key", "which is why"
    assert ascii_lower(kelvin) == kelvin
    assert ascii_upper("straße") == "straße"


def test_a_refusal_shows_a_long_value_cut_and_with_its_length():
    assert shown("a\n") == r"'a\n'"
    assert shown("x" * 64) == repr("x" * 64)
    assert shown("x" * 65) == f"'{'x' * 64}'... (65 characters)"
    assert cut("y" * 2000) == "y" * 2000
    assert cut("y" * 2001) == f"{'y' * 2000}... (2001 characters)"


def test_a_clock_that_is_set_does_not_let_time_pass():
    clock = SimClock(1_000)
    clock.advance(5)
    assert (clock.now_ms(), clock.steady_ms()) == (1_005, 5)
    clock.jump(-500)
    assert (clock.now_ms(), clock.steady_ms()) == (505, 5)
