"""Channels: each message is taken once, whatever the medium does, and is settled in the end."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from host.domain.ids import EpochMs
from host.network.link import channel_in, channel_out
from host.network.link.channel_in import RxState, Verdict
from host.network.link.channel_out import TxHead, TxMessage
from host.network.link.frames import Ack
from host.network.values.p2p_out import Filter, Subsystem
from tests.network.frame_bodies import CHANNEL, ack
from tests.network.handshakes import SCHEDULES

NOW = EpochMs(1_000_000)


def head(**changes: object) -> TxHead:
    given_: dict[str, object] = {"group_id": "g", "source": "s", "target": "t", "channel": CHANNEL}
    return TxHead(**{**given_, **changes})  # type: ignore[arg-type]


def message(expires_at: int = NOW + 1000) -> TxMessage:
    return TxMessage(
        subsystem=Subsystem.FLOW,
        filter=Filter.ACTIVE,
        message_id="m",
        expires_at=EpochMs(expires_at),
        payload=b"p",
    )


def settle(tx: TxHead, pending: dict[int, TxMessage], given_: Ack) -> channel_out.Settled:
    return channel_out.acknowledged(tx, pending, given_, NOW, b"n" * 16)


@dataclass
class Ends:
    """Both ends of a channel, with stored states; requests and answers may meet any fate."""

    tx: TxHead = field(default_factory=head)
    pending: dict[int, TxMessage] = field(default_factory=dict)
    rx: RxState = field(default_factory=RxState)
    delivered: list[tuple[bytes, int]] = field(default_factory=list)
    given_up: set[int] = field(default_factory=set)
    channels: int = 0

    def write(self) -> None:
        self.pending[self.tx.next] = message()
        self.tx = head(channel=self.tx.channel, next=self.tx.next + 1)

    def request(self) -> tuple[bytes, int, list[int]]:
        base = channel_out.base_of(self.tx, self.pending)
        return self.tx.channel, base, sorted(n for n in self.pending if n < base + 100)

    def receive(self, request: tuple[bytes, int, list[int]]) -> Ack:
        name, base, numbers = request
        opened = channel_in.opened(self.rx, name, base, NOW)
        assert opened is not None
        others, channel = opened
        for number in reversed(numbers):
            channel, verdict = channel_in.take(channel, number, base)
            if verdict is Verdict.NEW:
                self.delivered.append((name, number))
        self.rx = channel_in.closed(others, channel, NOW)
        return ack(channel=name, upto=channel.upto, ranges=channel.ranges)

    def settle(self, given_: Ack) -> None:
        settled = settle(self.tx, self.pending, given_)
        self.tx = settled.head
        for number in settled.taken:
            assert (given_.channel, number) in self.delivered
            del self.pending[number]

    def expire(self) -> None:
        if self.pending:
            number = max(self.pending)
            del self.pending[number]
            self.given_up.add(number)


@given(st.lists(st.sampled_from("wwwqqraaxl"), max_size=60), st.randoms(use_true_random=False))
@settings(max_examples=13 * SCHEDULES, deadline=None)
def test_every_message_is_taken_once_or_given_up(steps: list[str], random) -> None:  # type: ignore[no-untyped-def]
    """Requests and answers are lost, doubled, reordered; a lost answer is a crash before it."""
    ends = Ends()
    requests: list[tuple[bytes, int, list[int]]] = []
    answers: list[Ack] = []
    for step in steps:
        match step:
            case "w":
                ends.write()
            case "q":
                requests.append(ends.request())
            case "r" if requests:
                answers.append(ends.receive(random.choice(requests)))
            case "a" if answers:
                ends.settle(random.choice(answers))
            case "x":
                ends.expire()
            case "l":
                del requests[: len(requests) // 2]
                del answers[: len(answers) // 2]
    ends.settle(ends.receive(ends.request()))

    assert not ends.pending
    assert len(set(ends.delivered)) == len(ends.delivered)
    taken = {number for _, number in ends.delivered}
    assert taken | ends.given_up == set(range(1, ends.tx.next))
    channel = ends.rx.channels[0]
    assert channel.ranges == () or channel.upto + 1 < channel.ranges[0][0]


def test_a_gap_of_given_up_messages_is_closed_by_the_base() -> None:
    channel = channel_in.RxChannel(channel=CHANNEL, upto=3, ranges=((7, 8),), last_at=NOW)

    taken, verdict = channel_in.take(channel, 10, 7)

    assert verdict is Verdict.NEW
    assert (taken.upto, taken.ranges) == (8, ((10, 10),))


def test_numbers_beyond_the_window_and_too_many_ranges_wait() -> None:
    channel = channel_in.RxChannel(
        channel=CHANNEL, ranges=tuple((n, n) for n in range(2, 66, 2)), last_at=NOW
    )

    assert channel_in.take(channel, 1025, 1) == (channel, Verdict.LATER)
    assert channel_in.take(channel, 1000, 1) == (channel, Verdict.LATER)
    assert channel_in.take(channel, 1, 1)[1] is Verdict.NEW


def test_a_pair_has_four_channels_and_forgets_old_ones() -> None:
    state = RxState()
    for number in range(4):
        opened = channel_in.opened(state, bytes([number]) * 16, 1, NOW)
        assert opened is not None
        state = channel_in.closed(*opened, NOW)

    assert channel_in.opened(state, b"x" * 16, 1, NOW) is None
    assert channel_in.opened(state, b"x" * 16, 1, EpochMs(NOW + channel_in.KEPT_MS)) is not None


def test_an_answer_beyond_what_was_given_out_is_void_and_begins_a_new_channel() -> None:
    """The sender's store is older than the receiver's: it was restored from a backup."""
    pending = {1: message(), 2: message()}

    settled = settle(head(next=3), pending, ack(upto=5))

    assert settled.is_void
    assert settled.head.channel == b"n" * 16
    assert not settled.taken
    assert channel_in.opened(RxState(), settled.head.channel, 1, NOW) is not None


def test_an_answer_about_another_channel_changes_nothing() -> None:
    tx = head(next=3)

    settled = settle(tx, {1: message()}, ack(channel=b"o" * 16, upto=2))

    assert settled == channel_out.Settled(head=tx)


def test_refused_messages_are_not_taken() -> None:
    settled = settle(
        head(next=4), {2: message(), 3: message()}, ack(upto=1, refused=((3, "no"), (9, "no")))
    )

    assert settled.refused == {3: "no"}
    assert not settled.taken


def test_a_hold_delays_expiry_by_its_length_and_at_most_a_day() -> None:
    pending = {1: message(NOW + 1000)}
    held = settle(head(next=2), pending, ack(hold_until_ms=60_000)).head

    assert channel_out.expired(held, pending, EpochMs(NOW + 60_000)) == []
    assert channel_out.expired(held, pending, EpochMs(NOW + 61_000)) == [1]
    for _ in range(200):
        held = channel_out.acknowledged(
            held, pending, ack(hold_until_ms=10**9), EpochMs(held.hold_until), b""
        ).head
    assert held.held_ms == channel_out.HELD_MS_MAX
