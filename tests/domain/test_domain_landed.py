"""Which positions of a stream have arrived: a low mark, and a bounded set above it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.domain import landed as module
from host.domain.landed import Landed, Verdict


def landed(*positions: int) -> Landed:
    found = Landed()
    for each in positions:
        found = found.with_(each)
    return found


@given(st.lists(st.integers(0, 30)))
def test_it_is_the_set_of_its_positions_in_as_few_runs_as_can_be(positions: list[int]) -> None:
    found, wanted = landed(*positions), set(positions)
    assert {each for each in range(32) if each in found} == wanted
    assert Landed.of(found.ranges) == found
    assert len(found.ranges) == sum(each - 1 not in wanted for each in wanted)
    assert found.low == next(each for each in range(32) if each not in wanted)


def test_a_record_is_taken_once() -> None:
    found = landed(0, 1, 5)
    assert found.judge(2, None) is Verdict.NEW
    for each in (0, 1, 5):
        assert found.judge(each, None) is Verdict.REPEATED
        assert found.with_(each) == found


def test_a_record_waits_for_the_one_of_its_key_before_it() -> None:
    found = landed(0)
    assert found.judge(3, after=2) is Verdict.EARLY
    assert found.judge(3, after=0) is Verdict.NEW
    assert found.with_(2).judge(3, after=2) is Verdict.NEW
    assert found.with_(3).judge(3, after=2) is Verdict.REPEATED


def test_the_set_above_the_low_mark_is_bounded_and_gets_smaller_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "RANGES_MAX", 3)
    found = landed(0, 2, 4)
    assert found.judge(6, None) is Verdict.EARLY
    assert found.judge(5, None) is Verdict.NEW  # extends a run
    assert found.judge(3, None) is Verdict.NEW  # joins two
    assert found.judge(1, None) is Verdict.NEW
    only_above = landed(2, 4, 6)
    assert only_above.judge(8, None) is Verdict.EARLY
    assert only_above.judge(0, None) is Verdict.NEW  # the first that is missing is always taken


@pytest.mark.parametrize("runs", [[(0, 0)], [(2, 1)], [(0, 2), (2, 3)], [(4, 5), (0, 1)]])
def test_stored_runs_that_are_none_are_refused(runs: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="no ascending runs"):
        Landed.of(runs)
