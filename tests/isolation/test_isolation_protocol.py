"""What a process may say that is in the hands of an attacker: frames, and lies in good frames."""

import contextlib
import socket
import struct
import threading
from dataclasses import replace

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.errors import DeadlineExceededError
from sandbox.isolation import frames
from sandbox.isolation.errors import GuestProcessViolationError
from sandbox.isolation.frames import Channel, EndedError, FrameError, FromGuests, FromHost
from sandbox.limits import Limits, Usage
from tests.isolation.attacking_child import BYTES, LIES

counts = st.integers(0, 2**63)
usages = st.builds(Usage, fuel=counts, host_calls=counts, log_bytes=counts)
names, payloads = st.text(max_size=frames.NAME_CHARACTERS_MAX), st.binary(max_size=5000)
limits = st.builds(Limits, **dict.fromkeys(Limits.__dataclass_fields__, st.integers(0, 2**40)))
to_host = st.one_of(
    st.builds(frames.Asked, names, names, payloads, usages),
    st.builds(frames.RunResult, st.none() | payloads, st.booleans(), usages),
    st.builds(frames.Halted, usages),
    st.builds(frames.Stopped, names, st.text(max_size=50), st.none() | names, usages),
)
to_guests = st.one_of(
    st.builds(
        frames.Begin, counts, names, st.none() | payloads, limits,
        st.lists(names).map(tuple), st.booleans(),
    ),
    st.builds(frames.Reply, st.booleans(), payloads),
    st.just(frames.Halt()),
    st.just(frames.Pause()),
)  # fmt: skip


@contextlib.contextmanager
def ends(hears, bytes_max=1 << 20):
    """A raw socket, and the channel at the other end."""
    raw, other = socket.socketpair()
    with raw, other:
        yield raw, Channel(other, hears, bytes_max=bytes_max)


def frame(message) -> bytes:
    body = msgspec.msgpack.encode(message)
    return struct.pack(">I", len(body)) + body


@pytest.mark.property
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(to_host, min_size=1, max_size=5), st.data())
def test_what_is_said_arrives_however_it_is_cut(messages, data):
    with ends(FromGuests) as (raw, channel):
        stream = b"".join(frame(m) for m in messages)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
        pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        sender = threading.Thread(target=lambda: [raw.sendall(piece) for piece in pieces])
        sender.start()
        assert [channel.receive() for _ in messages] == messages
        sender.join()


@pytest.mark.property
@given(to_guests)
def test_the_hosts_words_come_back_as_they_were(message):
    with ends(FromHost) as (raw, channel):
        raw.sendall(frame(message))
        assert channel.receive() == message


@pytest.mark.property
@given(st.binary(max_size=200))
def test_noise_is_refused_and_never_more_than_that(noise):
    with ends(FromGuests, bytes_max=100) as (raw, channel):
        raw.sendall(noise)
        raw.shutdown(socket.SHUT_WR)
        with contextlib.suppress(EndedError, FrameError):
            while True:
                assert isinstance(channel.receive(), FromGuests)


@pytest.mark.property
@given(to_host, st.data())
def test_a_frame_that_is_cut_short_is_an_end(message, data):
    whole = frame(message)
    with ends(FromGuests) as (raw, channel):
        raw.sendall(whole[: data.draw(st.integers(0, len(whole) - 1))])
        raw.shutdown(socket.SHUT_WR)
        with pytest.raises(EndedError):
            channel.receive()


def test_the_length_is_checked_before_anything_is_read():
    with ends(FromGuests, bytes_max=10) as (raw, channel):
        raw.sendall(struct.pack(">I", 11))
        with pytest.raises(FrameError, match="11 bytes, at most 10"):
            channel.receive()


def test_the_words_of_one_side_are_not_those_of_the_other():
    with ends(FromGuests) as (raw, channel):
        raw.sendall(frame(frames.Reply(is_ok=True, text=b"")))
        with pytest.raises(FrameError):
            channel.receive()


def test_waiting_ends_for_a_side_that_says_nothing():
    with ends(FromGuests) as (_raw, channel):
        channel.wait_at_most(0.01)
        with pytest.raises(TimeoutError):
            channel.receive()


def test_waiting_ends_for_a_side_that_says_little_at_a_time():
    with ends(FromGuests) as (raw, channel):
        raw.sendall(b"\0")
        channel.wait_at_most(0)
        with pytest.raises(TimeoutError):
            channel.receive()


LIMITS = Limits(payload_bytes_max=6000, log_bytes_max=1000)


@pytest.mark.slow
@pytest.mark.parametrize("lie", [*sorted(LIES | BYTES), "close the connection"])
def test_a_lie_costs_the_process_its_life_and_reaches_no_one(attackers, lie):
    asked = []
    guest = attackers.workflow("liar")
    guest.call("run", "print", limits=LIMITS)
    liar = attackers.process("liar")
    with pytest.raises(GuestProcessViolationError) as caught:
        guest.call("run", lie, limits=LIMITS, host=lambda *call: asked.append(call) or "1")
    assert caught.value.code == "guest-process-violation"
    assert asked == []
    assert not liar.is_alive
    assert guest.call("run", "print", limits=LIMITS).value == "1"


@pytest.mark.slow
def test_a_run_that_the_host_ended_makes_no_further_call(attackers):
    asked = []

    def host(*call):
        asked.append(call)
        raise ValueError("no more")

    with pytest.raises(GuestProcessViolationError, match="went on"):
        attackers.workflow("liar").call("run", "go on after the end", limits=LIMITS, host=host)
    assert len(asked) == 1


@pytest.mark.slow
def test_a_run_without_a_host_asks_nothing(attackers):
    with pytest.raises(GuestProcessViolationError, match="does not exist"):
        attackers.workflow("liar").call("run", "go on after the end", limits=LIMITS)


@pytest.mark.slow
def test_a_run_that_does_not_end_is_ended(attackers):
    guest = attackers.workflow("liar")
    guest.call("run", "print", limits=LIMITS)
    liar = attackers.process("liar")
    with pytest.raises(DeadlineExceededError, match="could not be stopped"):
        guest.call("run", "never end", limits=replace(LIMITS, wall_ms_max=1))
    assert not liar.is_alive
