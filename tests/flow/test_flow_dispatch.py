"""What a pool does next: one thread for a key, none twice, nothing forgotten."""

import pytest

from host.domain.pace import SHARED_S
from host.flow.core.aside import WorkKey
from host.flow.core.dispatch import (
    BUSY_SHARE,
    COMMITTING_MAX,
    HELD_MAX,
    REST_FACTOR,
    REST_MAX_S,
    Dispatch,
    Job,
    rest_factor,
)
from host.ports.bus import WorkQueue
from tests.flow.queues import ALICES, BOBS

QUEUE = WorkQueue(topic="t", partition=1, node=ALICES)
BOBS_QUEUE = WorkQueue(topic="t", partition=1, node=BOBS)
FIRST, SECOND = WorkKey(QUEUE, "first"), WorkKey(QUEUE, "second")


def begin(dispatch: Dispatch, now: float = 0.0) -> Job:
    job = dispatch.next(now, only_fresh=False)
    assert job is not None
    return job


def nothing(dispatch: Dispatch) -> bool:
    return dispatch.next(0.0, only_fresh=False) is None


@pytest.fixture
def dispatch() -> Dispatch:
    return Dispatch(2)


def test_a_running_key_blocks_no_other_key_of_its_partition(dispatch: Dispatch) -> None:
    dispatch.offer([QUEUE])
    first = begin(dispatch)
    assert dispatch.found(first, FIRST)
    second = begin(dispatch)
    assert (second.queue, second.skip) == (QUEUE, {"first"})
    assert dispatch.found(second, SECOND)
    assert nothing(dispatch)  # two steps of one node
    dispatch.end(second, 0.0)
    third = begin(dispatch)
    assert third.skip == {"first"}
    assert not dispatch.found(third, None)
    dispatch.end(third, 0.0)
    assert nothing(dispatch)
    dispatch.end(first, 0.0)  # more of the key may have come in meanwhile
    assert begin(dispatch).skip == frozenset()


def test_a_queue_that_is_known_to_be_empty_is_not_looked_into(dispatch: Dispatch) -> None:
    dispatch.offer([QUEUE])
    job = begin(dispatch)
    assert dispatch.found(job, FIRST, more=False)
    assert nothing(dispatch)
    job.is_done = True
    dispatch.end(job, 0.0)
    assert nothing(dispatch)


@pytest.mark.parametrize("why", ["more", "during the look", "during the work", "not done"])
def test_a_queue_that_may_hold_more_is_looked_into_again(dispatch: Dispatch, why: str) -> None:
    """Also by its key that was worked on: whoever looked meanwhile passed it over."""
    dispatch.offer([QUEUE])
    job = begin(dispatch)
    if why == "during the look":
        dispatch.offer([QUEUE])
    assert dispatch.found(job, FIRST, more=why == "more")
    if why == "during the work":
        dispatch.offer([QUEUE])
    while (other := dispatch.next(0.0, only_fresh=False)) is not None:
        assert other.skip == {"first"}
        dispatch.found(other, None, more=False)
        dispatch.end(other, 0.0)
    job.is_done = why != "not done"
    dispatch.end(job, 0.0)
    assert begin(dispatch).skip == frozenset()


def test_what_comes_in_during_a_look_is_looked_at_again(dispatch: Dispatch) -> None:
    dispatch.offer([QUEUE])
    look = begin(dispatch)
    dispatch.offer([QUEUE])
    assert nothing(dispatch)
    assert not dispatch.found(look, None)
    dispatch.end(look, 0.0)
    assert begin(dispatch).queue == QUEUE


def test_a_look_that_has_ended_does_not_end_the_next_one_into_its_queue(dispatch: Dispatch) -> None:
    dispatch.offer([QUEUE])
    look = begin(dispatch)
    dispatch.offer([QUEUE])
    assert not dispatch.found(look, None)
    following = begin(dispatch)  # another thread's, before this one reports the end of its turn
    dispatch.end(look, 0.0)
    assert nothing(dispatch)
    dispatch.offer([QUEUE])
    assert dispatch.found(following, FIRST, more=False)
    assert begin(dispatch).queue == QUEUE


def test_a_key_is_done_by_one_thread_whichever_way_it_came(dispatch: Dispatch) -> None:
    dispatch.offer([QUEUE])
    look = begin(dispatch)
    dispatch.offer_keys([FIRST])
    aside = begin(dispatch)
    assert aside.key == FIRST
    assert not dispatch.found(look, FIRST)
    dispatch.end(look, 0.0)
    dispatch.offer_keys([FIRST])  # its time has come again, though it is being done
    look = begin(dispatch)
    assert (look.key, look.skip) == (None, {"first"})
    assert not dispatch.found(look, None)
    dispatch.end(look, 0.0)
    dispatch.end(aside, 0.0)
    assert {begin(dispatch).key, begin(dispatch).key} == {FIRST, None}


def test_a_time_that_came_while_a_key_was_looked_for_is_not_forgotten(dispatch: Dispatch) -> None:
    dispatch.offer([QUEUE])
    work = begin(dispatch)
    dispatch.offer_keys([FIRST])
    assert dispatch.found(work, FIRST)
    look = begin(dispatch)
    assert not dispatch.found(look, None)
    dispatch.end(look, 0.0)
    assert nothing(dispatch)
    dispatch.end(work, 0.0)
    assert {begin(dispatch).key, begin(dispatch).key} == {FIRST, None}


def test_a_key_that_came_due_during_its_own_work_is_offered_once_after_it(
    dispatch: Dispatch,
) -> None:
    """Whoever asked for what is due will not be told again of this time."""
    dispatch.offer_keys([FIRST])
    job = begin(dispatch)
    dispatch.offer_keys([FIRST])
    assert nothing(dispatch)
    dispatch.end(job, 0.0)
    again = {begin(dispatch).key, begin(dispatch).key}
    assert again == {FIRST, None}
    dispatch.keep({2})
    assert nothing(dispatch)


def test_keys_that_are_tried_again_and_queues_take_turns(dispatch: Dispatch) -> None:
    dispatch.offer_keys([WorkKey(QUEUE, f"k{number}") for number in range(9)])
    dispatch.offer([QUEUE])
    kinds = []
    for _ in range(2):
        job = begin(dispatch)
        kinds.append(job.key is None)
        if job.key is None:
            dispatch.found(job, None)
        dispatch.end(job, 0.0)
    assert kinds == [False, True]


def test_what_is_held_is_left_alone_until_its_time(dispatch: Dispatch) -> None:
    dispatch.hold(FIRST, 5.0)
    dispatch.offer_keys([FIRST])
    dispatch.offer([QUEUE])
    look = begin(dispatch)
    assert look.skip == {"first"}
    assert not dispatch.found(look, None)
    dispatch.end(look, 0.0)
    assert nothing(dispatch)
    assert dispatch.next_release() == 5.0
    assert dispatch.release(4.9) == []
    assert dispatch.release(5.0) == [FIRST]
    assert begin(dispatch).skip == frozenset()


def test_beyond_so_many_held_keys_their_queue_waits_and_no_other(dispatch: Dispatch) -> None:
    for number in range(HELD_MAX):
        dispatch.hold(WorkKey(QUEUE, f"k{number}"), 5.0)
    dispatch.hold(FIRST, 5.0)
    dispatch.offer([QUEUE, BOBS_QUEUE])
    assert begin(dispatch).queue == BOBS_QUEUE
    assert nothing(dispatch)
    assert len(dispatch.release(5.0)) == HELD_MAX
    assert begin(dispatch).queue == QUEUE


def test_what_is_not_owned_any_more_is_forgotten(dispatch: Dispatch) -> None:
    dispatch.offer([QUEUE])
    dispatch.offer_keys([FIRST])
    dispatch.hold(SECOND, 5.0)
    dispatch.keep({2})
    assert nothing(dispatch)
    assert dispatch.next_release() is None


def test_a_turn_that_waits_for_its_commit_lets_another_begin_and_keeps_its_key(
    dispatch: Dispatch,
) -> None:
    dispatch.offer([QUEUE])
    first = begin(dispatch)
    assert dispatch.found(first, FIRST)
    second = begin(dispatch)
    assert dispatch.found(second, SECOND)
    assert nothing(dispatch)  # two steps of one node
    dispatch.commit(first, 1.0)
    assert dispatch.running == 1
    third = begin(dispatch)
    assert third.skip == {"first", "second"}
    dispatch.found(third, None)
    dispatch.end(third, 1.0)
    dispatch.end(first, 2.0)
    fourth = begin(dispatch)
    assert fourth.skip == {"second"}
    dispatch.end(fourth, 2.0)
    dispatch.end(second, 2.0)
    assert (dispatch.running, dispatch.turns.ahead_ms(ALICES)) == (0, 0.0)


def test_so_many_turns_wait_for_commits_and_no_more(dispatch: Dispatch) -> None:
    dispatch.offer([QUEUE])
    waiting = []
    for number in range(COMMITTING_MAX + 2):
        job = begin(dispatch)
        assert dispatch.found(job, WorkKey(QUEUE, str(number)))
        dispatch.commit(job, 0.0)
        waiting.append(job)
    assert (dispatch.running, nothing(dispatch)) == (2, True)
    dispatch.end(waiting[0], 0.0)
    dispatch.commit(waiting[-1], 0.0)  # one place is free again
    assert dispatch.running == 1
    assert begin(dispatch)


def turns_of_a_backlog(dispatch: Dispatch, seconds: float, step_s: float, every_s: float) -> int:
    """How many turns a node with a long backlog has, one slot, beside one with rare records."""
    now, turns, rare_at = 0.0, 0, every_s
    dispatch.offer([QUEUE])
    while now < seconds:
        if now >= rare_at:
            dispatch.offer([BOBS_QUEUE])
            job = dispatch.next(now, only_fresh=True)
            assert job is not None, "a node with rare records never waits for a rest"
            assert job.queue.node == BOBS
            assert dispatch.found(job, WorkKey(BOBS_QUEUE, "rare"), more=False)
            job.is_done = True
            dispatch.end(job, now)
            rare_at += every_s
        job = dispatch.next(now, only_fresh=False)
        if job is None:
            release = dispatch.next_release()
            assert release is not None, "a rest ends"
            now = min(release, rare_at)
            dispatch.release(now)
            continue
        turns += 1
        assert dispatch.found(job, WorkKey(QUEUE, f"{turns}"), more=True)
        now += step_s
        dispatch.end(job, now)
    return turns


@pytest.mark.parametrize(
    ("slots", "processors", "factor"),
    [(2, 2, 3.0), (4, 2, 7.0), (8, 8, 3.0), (64, 8, 31.0), (1, 1, 3.0), (1, 64, 1.0)],
)
def test_the_slots_of_a_busy_node_take_a_quarter_of_the_processors_at_most(
    slots: int, processors: int, factor: float
) -> None:
    assert rest_factor(slots, processors) == factor
    assert slots / (1 + factor) <= max(BUSY_SHARE * processors, slots / 2)


def test_a_node_with_a_backlog_beside_another_rests_after_each_turn() -> None:
    for factor in (REST_FACTOR, 7.0):
        turns = turns_of_a_backlog(Dispatch(1, rest=factor), 10.0, 0.01, 0.1)
        assert turns == pytest.approx(1000 / (1 + factor), rel=0.1)


def test_a_node_with_a_backlog_has_all_of_the_time_if_no_other_was_active_lately() -> None:
    alone = turns_of_a_backlog(Dispatch(1), 10.0, 0.01, 1000.0)
    assert alone == pytest.approx(1000, abs=1)
    rarely = turns_of_a_backlog(Dispatch(1), 10.0, 0.01, 9.5)
    assert rarely == pytest.approx(alone - 0.5 / 0.01 * REST_FACTOR / (1 + REST_FACTOR), rel=0.05)
    assert SHARED_S > 0.5, "Bob counted as active for longer than he waited"


def test_a_node_without_a_backlog_does_not_rest(dispatch: Dispatch) -> None:
    for number in range(100):
        for queue in (QUEUE, BOBS_QUEUE):
            dispatch.offer([queue])
            job = begin(dispatch, number * 0.1)
            assert dispatch.found(job, WorkKey(queue, "k"), more=False)
            job.is_done = True
            dispatch.end(job, number * 0.1 + 0.05)
            assert dispatch.next_rest() is None


def test_a_rest_is_bounded_and_a_turn_that_commits_rests_from_its_commit_on(
    dispatch: Dispatch,
) -> None:
    dispatch.offer([BOBS_QUEUE, QUEUE])
    bobs, job = begin(dispatch), begin(dispatch)
    assert (bobs.queue, job.queue) == (BOBS_QUEUE, QUEUE)
    dispatch.found(bobs, None, more=False)
    dispatch.end(bobs, 8.9)
    assert dispatch.found(job, FIRST, more=True)
    dispatch.commit(job, 9.0)
    assert dispatch.next_rest() == 9.0 + REST_MAX_S
    dispatch.end(job, 9.5)
    assert dispatch.next_rest() == 9.0 + REST_MAX_S, "its slot rests once"
    assert dispatch.release(9.0 + REST_MAX_S) == []
    assert dispatch.next_release() is None
