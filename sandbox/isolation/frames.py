"""The messages between the host and a guests' process, and their framing.

A frame is a length (4 bytes, big-endian) and one message as MessagePack. Texts of guests are sent
as bytes, so that invalid Unicode reaches the code that refuses it.
"""

import socket
import struct
import time
from typing import Annotated, Generic, TypeVar

import msgspec

from sandbox.limits import KIB, MIB, Limits, Usage

FRAME_BYTES_MAX = 512 * MIB
"""Maximum size of a frame from the host, which is trusted."""
OVERHEAD_BYTES_MAX = 8 * KIB
"""Maximum size of a frame in addition to the text that it may contain."""
NAME_CHARACTERS_MAX = 64
MESSAGE_CHARACTERS_MAX = 2_000

_LENGTH = struct.Struct(">I")
_READ_BYTES = 16 * KIB


class FrameError(Exception):
    """The received data is not a message that is valid at this point."""


class EndedError(Exception):
    """The other side is gone."""


_Name = Annotated[str, msgspec.Meta(max_length=NAME_CHARACTERS_MAX)]
_Text = Annotated[str, msgspec.Meta(max_length=MESSAGE_CHARACTERS_MAX)]


class _Message(msgspec.Struct, frozen=True, array_like=True, tag=True, forbid_unknown_fields=True):
    pass


class LoadedImage(msgspec.Struct, frozen=True, array_like=True):
    """The files of an image: `sandbox.images.image.ImageFiles` with descriptors."""

    size: int
    initial: int
    initial_size: int
    changes: int
    runs: tuple[tuple[int, int], ...]


class Loaded(msgspec.Struct, frozen=True, array_like=True):
    """A component to load: `descriptor` is the compiled code, its own or that of its runtime."""

    digest: str
    world: str
    runtime: str | None
    descriptor: int
    image: LoadedImage | None


class Order(_Message, frozen=True):
    """The first frame to a process: the components to load, and the parameters of the seal."""

    parent: int
    components: tuple[Loaded, ...]
    lanes: int
    memory_bytes_max: int
    restored_instances: bool


class Ready(_Message, frozen=True):
    """The process is sealed; `walls` maps each wall to the reason why it is missing, or to ""."""

    walls: dict[str, str]


class Refused(_Message, frozen=True):
    """The process cannot load the requested code."""

    code: str
    message: str


class Begin(_Message, frozen=True):
    """Begins a run."""

    component: int
    export: str
    argument: bytes | None
    limits: Limits
    granted: tuple[str, ...]
    has_host: bool


class Asked(_Message, frozen=True):
    """A guest's host call, the run's usage so far, and its thread: 0, or the id the host knows."""

    interface: _Name
    function: _Name
    request: bytes
    usage: Usage
    thread: int = 0


class Reply(_Message, frozen=True):
    """The answer to `Asked`."""

    is_ok: bool
    text: bytes


class Halt(_Message, frozen=True):
    """Sent instead of `Reply`: end the run."""


class Pause(_Message, frozen=True):
    """Sent before `Reply` or `Halt`: stop the run's clock until one of them arrives."""


class RunResult(_Message, frozen=True):
    """The run returned."""

    value: bytes | None
    is_error: bool
    usage: Usage


class Halted(_Message, frozen=True):
    """The run has ended because of `Halt`."""

    usage: Usage


class Stopped(_Message, frozen=True):
    """The run was ended by the sandbox.

    Attributes:
        function: the host function that was not granted; None for other reasons.
        report: the guest's failure after the refusal of that function.
    """

    code: _Name
    message: _Text
    function: _Text | None
    usage: Usage
    report: bytes | None = None


FromHost = Begin | Reply | Halt | Pause
FromGuests = Asked | RunResult | Halted | Stopped
Start = Ready | Refused
_Heard = TypeVar("_Heard")


class Channel(Generic[_Heard]):
    """One end of a stream of frames; used by one thread at a time.

    Attributes:
        stream: a connected socket that blocks.
        bytes_max: maximum size of a received frame.
        thread: the thread at the other end, as it said; 0 if unknown.
        filled_bytes: memory that thread had touched when it last ended a run.
    """

    def __init__(self, stream: socket.socket, hears: object, *, bytes_max: int) -> None:
        self.stream = stream
        self.bytes_max = bytes_max
        self.thread = 0
        self.filled_bytes = 0
        self._deadline: float | None = None
        self._seconds = 0.0
        self._received = bytearray()
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[_Heard] = msgspec.msgpack.Decoder(hears)

    def wait_at_most(self, seconds: float) -> None:
        """Bound the total time of following waits; a wait may still begin just before the end."""
        self._deadline = time.monotonic() + seconds
        if seconds != self._seconds:
            self._seconds = seconds
            timeout = struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                self.stream.setsockopt(socket.SOL_SOCKET, option, timeout)

    def wait_still(self, seconds: float) -> None:
        """Extend the bound of waiting to `seconds` from now, if that is later."""
        if self._deadline is not None:
            self._deadline = max(self._deadline, time.monotonic() + seconds)

    def send(self, message: msgspec.Struct) -> None:
        """Send a message.

        Raises:
            EndedError: the other side is gone.
            TimeoutError: the other side does not receive it in time.
        """
        body = self._encoder.encode(message)
        try:
            self.stream.sendall(_LENGTH.pack(len(body)) + body)
        except BlockingIOError as overrun:
            raise TimeoutError from overrun
        except OSError as gone:
            raise EndedError from gone

    def receive(self) -> _Heard:
        """Wait for the next message.

        Raises:
            EndedError: the other side is gone.
            FrameError: a frame is too large or contains no message that is valid here.
            TimeoutError: no message arrived in time.
        """
        (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size))
        if length > self.bytes_max:
            raise FrameError(f"a frame of {length} bytes, at most {self.bytes_max}")
        try:
            return self._decoder.decode(self._exactly(length))
        except (msgspec.MsgspecError, RecursionError) as refused:
            raise FrameError("a frame that holds no message for this side") from refused

    def _exactly(self, size: int) -> bytes | bytearray:
        received = self._received
        if size > max(len(received), _READ_BYTES):
            return self._large(size)
        while len(received) < size:
            found = bytearray(_READ_BYTES)
            received += memoryview(found)[: self._receive_into(found)]
        taken = bytes(received[:size])
        del received[:size]
        return taken

    def _large(self, size: int) -> bytearray:
        """As `_exactly`, received into its place: copies of megabytes hold the interpreter."""
        whole = bytearray(size)
        at = len(self._received)
        whole[:at] = self._received
        self._received.clear()
        with memoryview(whole) as view:
            while at < size:
                at += self._receive_into(view[at:])
        return whole

    def _receive_into(self, place: bytearray | memoryview) -> int:
        """Receive at least one byte; returns how many there were."""
        try:
            found = self.stream.recv_into(place)
        except BlockingIOError as overrun:
            raise TimeoutError from overrun
        except OSError as gone:
            raise EndedError from gone
        if not found:
            raise EndedError
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise TimeoutError
        return found


def bytes_of(text: str) -> bytes:
    """A text as it travels."""
    return text.encode("utf-8", "surrogatepass")


def text_of(data: bytes) -> str:
    """A text that travelled from the host."""
    return data.decode("utf-8", "surrogatepass")
