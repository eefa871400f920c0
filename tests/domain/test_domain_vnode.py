"""Virtual nodes: their states, and how long they were paused."""

import pytest

from host.domain.ids import EpochMs
from host.domain.vnode import NEVER_PAUSED, NodeState, Pauses, state_of


def at(ms: int) -> EpochMs:
    return EpochMs(ms)


def test_pauses_are_added_up() -> None:
    first = NEVER_PAUSED.begun(at(10)).ended(at(15))
    assert first == Pauses(since=None, ended_at=at(15), total_ms=5)
    assert first.begun(at(20)).ended(at(22)) == Pauses(ended_at=at(22), total_ms=7)


def test_a_pause_begins_and_ends_once() -> None:
    paused = NEVER_PAUSED.begun(at(10))
    assert paused.begun(at(12)) == paused
    assert paused.ended(at(15)).ended(at(19)) == paused.ended(at(15))


def test_a_clock_that_was_put_back_makes_a_pause_of_no_length() -> None:
    assert NEVER_PAUSED.begun(at(10)).ended(at(4)) == Pauses(ended_at=at(4), total_ms=0)


@pytest.mark.parametrize(
    ("is_paused", "is_active", "state"),
    [
        (False, True, NodeState.ACTIVE),
        (False, False, NodeState.MAINTENANCE),
        (True, True, NodeState.PAUSED),
        (True, False, NodeState.PAUSED),
    ],
)
def test_a_pause_counts_more_than_what_flows_do_otherwise(
    *, is_paused: bool, is_active: bool, state: NodeState
) -> None:
    assert state_of(is_paused=is_paused, is_active=is_active) is state
