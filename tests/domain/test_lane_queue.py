"""Whose item a fair queue gives next: counted in items and bytes."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.database.lane_queue import CREDIT_BYTES, ITEM_BYTES_MIN, LaneQueue

LARGE = 4 * CREDIT_BYTES


def taken(queue: LaneQueue[str]) -> list[str]:
    found = []
    while queue:
        assert queue.first() is queue.first()
        found.append(queue.pop())
    return found


def test_one_lane_keeps_the_order_of_arrival() -> None:
    queue: LaneQueue[str] = LaneQueue()
    for number in range(20):
        queue.append(str(number), size=LARGE if number % 3 == 0 else 1)
    assert taken(queue) == [str(number) for number in range(20)]
    with pytest.raises(IndexError):
        queue.pop()


def test_a_small_item_passes_the_large_ones_of_another_lane() -> None:
    queue: LaneQueue[str] = LaneQueue()
    for number in range(3):
        queue.append(f"large-{number}", lane="busy", size=LARGE)
    queue.append("small", lane="neighbour", size=100)
    assert taken(queue) == ["small", "large-0", "large-1", "large-2"]


def test_large_items_of_two_lanes_take_turns_whatever_one_has_queued() -> None:
    queue: LaneQueue[str] = LaneQueue()
    for number in range(5):
        queue.append(f"a{number}", lane="a", size=LARGE)
    queue.append("b0", lane="b", size=LARGE)
    assert taken(queue)[:2] in (["a0", "b0"], ["b0", "a0"])


def test_many_small_items_count_by_what_they_take() -> None:
    queue: LaneQueue[str] = LaneQueue()
    for number in range(1000):
        queue.append(f"a{number}", lane="a")
    queue.append("b", lane="b")
    assert taken(queue).index("b") <= CREDIT_BYTES // ITEM_BYTES_MIN


def test_the_first_item_stays_the_first_whatever_comes() -> None:
    queue: LaneQueue[str] = LaneQueue()
    queue.append("large", lane="a", size=LARGE)
    assert queue.first() == "large"
    queue.append("small", lane="b")
    assert queue.pop() == "large"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3 * LARGE)), max_size=40))
def test_nothing_is_lost_and_no_lane_is_more_than_a_turn_ahead(
    items: list[tuple[str, int]],
) -> None:
    queue: LaneQueue[tuple[int, str, int]] = LaneQueue()
    for number, (lane, size) in enumerate(items):
        queue.append((number, lane, max(size, ITEM_BYTES_MIN)), lane=lane, size=size)
    assert len(queue) == len(items)
    left, given_bytes = defaultdict[str, int](int), defaultdict[str, int](int)
    largest = max([size for _, size in items], default=0) + ITEM_BYTES_MIN
    for lane, _ in items:
        left[lane] += 1
    order = defaultdict[str, list[int]](list)
    while queue:
        number, lane, cost = queue.pop()
        order[lane].append(number)
        left[lane] -= 1
        given_bytes[lane] += cost
        for other, count in left.items():
            if count:  # it has waited all the time
                assert given_bytes[lane] - given_bytes[other] <= 2 * CREDIT_BYTES + largest
    assert all(numbers == sorted(numbers) for numbers in order.values())
    assert sum(map(len, order.values())) == len(items)


def test_an_item_that_is_taken_back_leaves_the_others_in_their_order() -> None:
    queue: LaneQueue[str] = LaneQueue()
    items = [str(number) for number in range(4)]
    for item in items:
        queue.append(item, lane=item in "02")
    assert queue.remove(items[0])
    assert not queue.remove(items[0])
    assert sorted(taken(queue)) == ["1", "2", "3"]
