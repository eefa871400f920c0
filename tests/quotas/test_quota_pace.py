"""The pace of a node: what it uses beyond its rate is waited for, and each waits its own time."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from host.nodes.quotas.pace import BURST_SECONDS, WAIT_MS_MAX, TokenBucket

RATE = 1000


def test_an_idle_node_has_its_burst() -> None:
    pace = TokenBucket.full(RATE, now=0)
    pace.charge(RATE * BURST_SECONDS, now=0)
    assert pace.wait_until(0) is None


def test_a_debt_is_paid_by_time() -> None:
    pace = TokenBucket.full(RATE, now=0)
    pace.charge(RATE * BURST_SECONDS + 500, now=0)
    until = pace.wait_until(0)
    assert until is not None
    assert 500 <= until <= 600
    assert pace.wait_until(until) is None


def test_who_waits_stands_behind_the_others() -> None:
    pace = TokenBucket.full(RATE, now=0)
    for _ in range(100):
        pace.charge(100, now=0)
    places = [pace.wait_until(0) for _ in range(10)]
    gaps = [b - a for a, b in pairwise(places)]
    assert all(gap >= 90 for gap in gaps)


def test_no_wait_is_longer_than_the_longest() -> None:
    pace = TokenBucket.full(1, now=0)
    pace.charge(10**12, now=0)
    assert pace.wait_until(0) <= WAIT_MS_MAX + 1


def test_time_that_goes_back_gives_nothing() -> None:
    pace = TokenBucket.full(RATE, now=10_000)
    pace.charge(RATE * BURST_SECONDS + 1, now=10_000)
    assert pace.wait_until(0) is not None
    assert pace.bucket.level == -1


def test_a_debt_is_paid_by_time_though_the_clock_was_put_back() -> None:
    pace = TokenBucket.full(RATE, now=3_600_000)
    pace.charge(RATE * BURST_SECONDS + 500, now=3_600_000)
    until = pace.wait_until(0)
    assert until is not None
    assert until <= 600
    assert pace.wait_until(until) is None


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 500)), max_size=100))
def test_over_time_no_node_uses_more_than_its_rate_and_one_run(
    runs: list[tuple[int, int]],
) -> None:
    """Runs that ask for their turn and take it: (amount, ms until the next one wants to run)."""
    pace, now, used = TokenBucket.full(RATE, now=0), 0, 0
    for amount, pause in runs:
        while (until := pace.wait_until(now)) is not None:
            assert until > now
            now = until
        pace.charge(amount, now)
        used += amount
        assert used - amount <= RATE * (BURST_SECONDS + now / 1000) + 1
        now += pause
