"""Delays of guessers, and that nobody else has them."""

import pytest

from host.access.delays import BUDGET, FORGOTTEN_MS, SignInDelays
from host.access.errors import SignInDelayedError
from host.domain.clock import SimClock

HERE, THERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def clock():
    return SimClock()


@pytest.fixture
def delays(clock):
    return SignInDelays(clock)


def test_delays_double_up_to_half_a_minute(delays, clock):
    found = []
    for _ in range(8):
        assert delays.wait_ms("alice", HERE) == 0
        found.append(delays.failed("alice", HERE))
        clock.advance(found[-1])
    assert found == [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]


def test_others_do_not_wait(delays):
    for _ in range(20):
        delays.failed("alice", HERE)
    with pytest.raises(SignInDelayedError, match="seconds"):
        delays.check("alice", HERE)
    delays.check("alice", THERE)
    delays.check("bob", HERE)


def test_a_right_password_begins_anew(delays, clock):
    for _ in range(3):
        clock.advance(delays.failed("alice", HERE))
    delays.succeeded("alice", HERE)
    assert delays.failed("alice", HERE) == 1000


def test_what_was_long_ago_is_forgotten(delays, clock):
    for _ in range(6):
        delays.failed("alice", HERE)
    clock.advance(FORGOTTEN_MS)
    assert delays.failed("alice", HERE) == 1000


def test_an_address_that_tries_many_names_has_a_budget(delays, clock):
    tried = 0
    while delays.wait_ms(f"user-{tried}", HERE) == 0:
        delays.failed(f"user-{tried}", HERE)
        tried += 1
    assert tried == BUDGET
    assert delays.wait_ms("alice", HERE) == 1000
    assert delays.wait_ms("alice", THERE) == 0
    clock.advance(1000)
    assert delays.wait_ms("alice", HERE) == 0


def test_who_was_wrong_leaves_room_for_new_names_at_its_address(delays, clock):
    """Many names that guess on and on: another user of that address still gets its turn at once."""
    for _ in range(100):
        for number in range(50):
            if delays.wait_ms(f"user-{number}", HERE) == 0:
                delays.failed(f"user-{number}", HERE)
        clock.advance(1000)
        assert delays.wait_ms("alice", HERE) == 0


def test_guesses_of_one_address_in_a_day_are_few(delays, clock):
    checked = 0
    for _ in range(24 * 3600):
        if delays.wait_ms("admin", HERE) == 0:
            delays.failed("admin", HERE)
            checked += 1
        clock.advance(1000)
    assert checked <= 24 * 3600 / 30 + 6


def test_memory_is_bounded(clock):
    delays = SignInDelays(clock, remembered_max=10)
    for number in range(100):
        delays.failed("alice", f"192.0.2.{number}")
    assert (len(delays._wrong), len(delays._budgets)) == (10, 10)
    assert delays.wait_ms("alice", "192.0.2.99") == 1000
