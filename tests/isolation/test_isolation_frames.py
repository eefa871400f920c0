"""Frames between the host and a guests' process: cut anywhere, and large ones without copies."""

import socket
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from sandbox.isolation.frames import Channel, EndedError, FrameError, Reply
from sandbox.limits import MIB

_SIZES = (0, 1, 16_350, 16_384, 16_400, 3 * MIB, 5, 40_000, 0)
"""Texts around the size of a read, and large ones before and after small ones."""


def _frame(size: int) -> bytes:
    body = msgspec.msgpack.encode(Reply(is_ok=True, text=b"x" * size))
    return len(body).to_bytes(4, "big") + body


@contextmanager
def _hearing(*pieces: bytes, bytes_max: int = 4 * MIB) -> Iterator[Channel[Reply]]:
    """A channel whose other side sends `pieces` one by one, and closes."""
    ours, theirs = socket.socketpair()

    def send() -> None:
        with theirs:
            for piece in pieces:
                theirs.sendall(piece)

    sender = threading.Thread(target=send)
    sender.start()
    with ours:
        channel: Channel[Reply] = Channel(ours, Reply, bytes_max=bytes_max)
        channel.wait_at_most(30)
        yield channel
    sender.join()


@pytest.mark.parametrize("cut", [1 << 30, 100_001, 16_384, 4_099])
def test_frames_of_any_size_arrive_whole_however_they_are_cut(cut: int) -> None:
    stream = b"".join(map(_frame, _SIZES))
    pieces = (stream[at : at + cut] for at in range(0, len(stream), cut))
    with _hearing(*pieces) as channel:
        assert [len(channel.receive().text) for _ in _SIZES] == list(_SIZES)
        with pytest.raises(EndedError):
            channel.receive()


def test_large_frame_is_received_with_one_copy_beside_its_message() -> None:
    size = 4_000_000
    frame = _frame(size)
    with _hearing(frame) as channel:
        tracemalloc.start()
        try:
            received = channel.receive()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert len(received.text) == size
    assert peak < 2.2 * size


def test_large_frame_that_ends_early_is_no_message() -> None:
    with _hearing(_frame(1 * MIB)[:-1]) as channel, pytest.raises(EndedError):
        channel.receive()


def test_frame_beyond_the_limit_is_refused_before_its_memory_exists() -> None:
    with _hearing((512 * MIB).to_bytes(4, "big")) as channel:
        tracemalloc.start()
        try:
            with pytest.raises(FrameError, match="a frame of 536870912 bytes"):
                channel.receive()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 1 * MIB
