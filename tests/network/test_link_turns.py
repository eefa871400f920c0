"""Limits and turns of links: tries of peers, turns of nodes, and what strangers may do."""

from host.domain.ids import EpochMs, ShortHash
from host.network.link import peers
from host.network.link.admission import HALF_OPEN_MAX, Failures, HalfOpen, Rate
from host.network.link.fair import FairQueue
from host.network.link.limits import LinkLimits
from host.network.link.peers import PeerState


def test_delays_double_to_ten_seconds_and_are_a_minute_after_ten_minutes() -> None:
    state, now, delays = PeerState(), EpochMs(0), []
    for _ in range(70):
        state = peers.failed(state, now, 0.0, LinkLimits())
        delays.append(state.next_at - now)
        now = state.next_at

    assert delays[:5] == [2000, 4000, 8000, 10_000, 10_000]
    assert delays[-1] == 60_000
    assert peers.failed(PeerState(), EpochMs(0), 1.0, LinkLimits()).next_at == 2400
    assert peers.heard(state) == PeerState(endpoint=70)


def test_each_try_takes_another_endpoint() -> None:
    state = PeerState()
    urls = []
    for _ in range(3):
        urls.append(peers.url_of(state, ("a", "b")))
        state = peers.failed(state, EpochMs(0), 0.0, LinkLimits())

    assert urls == ["a", "b", "a"]


def test_a_node_with_many_pairs_and_large_bodies_does_not_delay_others() -> None:
    queue = FairQueue()
    noisy, quiet = ShortHash("A" * 12), ShortHash("B" * 12)
    sent = {noisy: 0, quiet: 0}
    for _ in range(400):
        for number in range(10):
            queue.offer(noisy, f"n{number}")
        queue.offer(quiet, "q")
        taken = queue.take()
        assert taken is not None
        size = 1_000_000 if taken[0] == noisy else 64 * 1024
        queue.sent(taken[0], size)
        sent[taken[0]] += size

    assert 0.5 < sent[quiet] / sent[noisy] < 2


def test_pairs_of_a_node_take_turns_and_each_is_queued_once() -> None:
    queue = FairQueue()
    for pair in ("a", "b", "a"):
        queue.offer(ShortHash("A" * 12), pair)

    assert [queue.take(), queue.take(), queue.take()] == [
        ("A" * 12, "a"),
        ("A" * 12, "b"),
        None,
    ]


def test_rates_hold_for_one_address_and_for_all() -> None:
    rate = Rate(2, 3)

    assert [rate.admits("a", 0) for _ in range(3)] == [True, True, False]
    assert rate.admits("b", 0)
    assert not rate.admits("c", 0)
    assert rate.admits("a", 1000)


def test_failures_of_an_address_are_forgotten_after_a_minute() -> None:
    failures = Failures()
    for _ in range(20):
        assert not failures.refuses("a", 0)
        failures.failed("a", 0)

    assert failures.refuses("a", 59_999)
    assert not failures.refuses("b", 0)
    assert not failures.refuses("a", 60_000)


def test_half_open_handshakes_are_bounded_and_end() -> None:
    half: HalfOpen[int] = HalfOpen()
    half.add(b"first", "b", 0, 0)
    for number in range(HALF_OPEN_MAX + 10):
        half.add(number.to_bytes(16, "big"), "a", 0, number)

    assert len(half) == HALF_OPEN_MAX
    assert half.pop((0).to_bytes(16, "big"), 0) is None
    assert half.pop(b"first", 9_999) == 0
    assert half.pop(b"first", 9_999) is None
    assert half.pop((HALF_OPEN_MAX).to_bytes(16, "big"), 10_000) is None
