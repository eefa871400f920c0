"""Protected frames and acknowledgements, and the form of bodies."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.network.link import frames
from host.network.link.frames import Close, Data, Frame, FramesUnreadableError, Heartbeat, Kind
from host.network.link.key_schedule import SessionKeys
from host.network.link.protection import (
    FrameForgedError,
    Mode,
    acknowledge,
    acknowledged,
    protect,
    unprotect,
)
from tests.network.frame_bodies import ack, data
from tests.support.properties import examples

KEYS = SessionKeys(session_id=b"s" * 16, data_key=b"d" * 32, data_iv=b"i" * 12, ack_key=b"a" * 32)
MODES = list(Mode)


def heartbeat(lane: int = 1, counter: int = 0, mode: Mode = Mode.ENCRYPTED) -> Frame:
    return protect(KEYS, mode, Kind.HEARTBEAT, lane=lane, counter=counter, body=Heartbeat())


@pytest.mark.parametrize("mode", MODES)
def test_a_frame_is_read_as_it_was_sent_and_only_then(mode: Mode) -> None:
    body = data(b"a planted text", ttl_ms=5)
    sent = protect(KEYS, mode, Kind.DATA, lane=1, counter=2, body=body)
    encoded = sent.encode()

    assert frames.decode_body(unprotect(KEYS, mode, frames.split(encoded)[0]), Data) == body
    assert (b"planted" in encoded) is (mode is Mode.AUTHENTICATED)
    for index in range(len(encoded)):
        changed = encoded[:index] + bytes([encoded[index] ^ 1]) + encoded[index + 1 :]
        with pytest.raises((FrameForgedError, FramesUnreadableError)):
            unprotect(KEYS, mode, frames.split(changed)[0])


@pytest.mark.parametrize("mode", MODES)
def test_a_short_body_is_forged(mode: Mode) -> None:
    empty = Frame.of(frames.Header(kind=Kind.DATA, length=0, session=KEYS.session_id), b"")
    with pytest.raises(FrameForgedError):
        unprotect(KEYS, mode, empty)


def test_nonces_of_lanes_and_counters_differ() -> None:
    sealed = {
        heartbeat(lane, counter).body for lane in (0, 1, 2**32 - 1) for counter in (0, 1, 2**64 - 1)
    }

    assert len(sealed) == 9


def test_only_the_answer_to_the_latest_request_counts() -> None:
    last = heartbeat(counter=7).header
    frame = acknowledge(KEYS, last, ack(upto=3))

    assert acknowledged(KEYS, last, frame) == ack(upto=3)
    for other in (heartbeat(counter=8).header, heartbeat(lane=2, counter=7).header):
        with pytest.raises(FrameForgedError):
            acknowledged(KEYS, other, frame)
    with pytest.raises(FrameForgedError):
        acknowledged(KEYS, last, Frame(frame.header, frame.head, frame.body[:-1] + b"\0"))


@given(st.binary(max_size=300))
@settings(max_examples=examples(50), deadline=None)
def test_any_bytes_are_frames_or_are_refused(data: bytes) -> None:
    with suppress(FramesUnreadableError):
        assert frames.join(frames.split(data)) == data


@pytest.mark.parametrize(
    "change", [(0, 2), (1, 0), (1, 11), (2, 1), (3, 1), (7, 1)], ids=lambda c: f"byte {c[0]}"
)
def test_unknown_versions_kinds_flags_and_lengths_are_refused(change: tuple[int, int]) -> None:
    encoded = bytearray(frames.plain(Kind.CLOSE, b"s" * 16, Close(reason="")).encode())
    encoded[change[0]] = change[1] if change[0] != 7 else 200
    with pytest.raises(FramesUnreadableError):
        frames.split(bytes(encoded))


def test_bodies_have_limits() -> None:
    frame = frames.plain(Kind.HEARTBEAT, b"s" * 16, Heartbeat())
    assert len(frames.split(frame.encode() * 64)) == 64
    with pytest.raises(FramesUnreadableError):
        frames.split(frame.encode() * 65)
    big = frames.Header(kind=Kind.INITIATOR_HELLO, length=5000, session=b"s" * 16)
    with pytest.raises(FramesUnreadableError):
        frames.split(big.encode() + bytes(5000))


@pytest.mark.parametrize(
    "body", [b"\x91\x01", b"\x92\xa1a\xa1b", b"\x90", b"\xc1", b"\x91\xa1a\x00"]
)
def test_a_body_has_exactly_its_fields(body: bytes) -> None:
    with pytest.raises(FramesUnreadableError):
        frames.decode_body(body, Close)
