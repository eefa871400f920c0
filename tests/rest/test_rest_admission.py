"""Who is let in, and how fast bytes have to move: decided without sockets and without time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.adapters.http.admission import Admission, Refusal, Seat, Seats, address_group
from host.adapters.http.pace import Pace, Patience


def door(total, share, *proxies):
    return Admission(
        Seats.within(1 << 20, total_max=total, address_max=share, proxies=proxies),
    )


def test_no_more_are_let_in_than_there_are_seats():
    admission = door(8, 100)
    seats = [admission.take(f"192.0.2.{n}") for n in range(9)]
    assert seats[8] is Refusal.FULL
    admission.leave(seats[0])
    assert isinstance(admission.take("192.0.2.9"), Seat)


def test_one_address_leaves_room_for_others():
    admission = door(8, 100)
    mine = [admission.take("192.0.2.1") for _ in range(5)]
    assert mine[4] is Refusal.SHARE
    assert isinstance(admission.take("192.0.2.2"), Seat)
    admission.leave(mine[0])
    assert isinstance(admission.take("192.0.2.1"), Seat)


def test_the_addresses_of_one_network_are_one_client():
    assert address_group("2001:db8::1") == address_group("2001:db8::ffff:2")
    assert address_group("2001:db8::1") != address_group("2001:db8:0:1::1")
    assert address_group("::ffff:192.0.2.1") == address_group("192.0.2.1")
    assert address_group("fe80::1%eth0") == address_group("fe80::2")


def test_a_proxy_stands_for_many_clients():
    admission = door(8, 1, "192.0.2.0/30")
    assert all(isinstance(admission.take("192.0.2.1"), Seat) for _ in range(8))


@pytest.mark.parametrize(
    ("descriptors", "total", "share"),
    [(20_000, 1000, 500), (1024, 384, 192), (256, 64, 32), (64, 16, 8), (10, 8, 4)],
)
def test_seats_leave_descriptors_for_the_engine(descriptors, total, share):
    seats = Seats.within(descriptors, total_max=1000, address_max=500)
    assert (seats.total_max, seats.address_max) == (total, share)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=200))
def test_seats_are_counted_right(steps):
    admission, held = door(8, 3), []
    for address, leaves in steps:
        if leaves and held:
            admission.leave(held.pop(0)[1])
            continue
        name = f"192.0.2.{address}"
        seat = admission.take(name)
        mine = sum(1 for owner, _ in held if owner == name)
        assert isinstance(seat, Seat) == (len(held) < 8 and mine < 3)
        if isinstance(seat, Seat):
            held.append((name, seat))
    assert admission.count == len(held)
    for _, seat in held:
        admission.leave(seat)
    assert (admission.count, admission._of_group) == (0, {})


SLOW = Patience(transfer_bytes_per_second_min=10, window_seconds=2, transfer_seconds_max=6)


def test_each_window_must_be_fast_enough():
    pace = Pace(SLOW)
    pace.moved(1_000_000)
    assert pace.holds()
    pace.moved(19)
    assert not pace.holds()


def test_what_is_fast_enough_ends_all_the_same():
    pace = Pace(SLOW)
    found = []
    for _ in range(3):
        pace.moved(20)
        found.append(pace.holds())
    assert found == [True, True, False]


def test_a_window_in_which_nothing_could_move_does_not_count():
    pace = Pace(SLOW)
    for _ in range(100):
        pace.excuse()
    pace.moved(20)
    assert pace.holds()
