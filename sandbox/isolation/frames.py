"""What the host and a guests' process say to each other, and the frames it travels in.

A frame is a length (4 bytes, big-endian) and one message as MessagePack. Texts of guests travel as
bytes: what is no Unicode reaches whoever refuses it.
"""

import socket
import struct
from typing import Generic, TypeVar

import msgspec

from sandbox.errors import SandboxError
from sandbox.limits import KIB, MIB, Limits, Usage

FRAME_BYTES_MAX = 512 * MIB
"""Of what the host, which is trusted, sends."""
ORDER_BYTES_MAX = 256 * KIB
OVERHEAD_BYTES_MAX = 8 * KIB
"""Of a frame beyond the one text that it may carry."""
NAME_BYTES_MAX = 64
MESSAGE_CHARACTERS_MAX = 2_000

_LENGTH = struct.Struct(">I")


class FrameError(SandboxError):
    """What arrived is no message that may be said now."""

    code = "guest-process-violation"


class EndedError(Exception):
    """The other side is gone."""


class _Message(msgspec.Struct, frozen=True, array_like=True, tag=True, forbid_unknown_fields=True):
    pass


class Loaded(msgspec.Struct, frozen=True, array_like=True):
    """A component to load: `descriptor` is its compiled code, open for reading."""

    digest: str
    world: str
    runtime: str | None
    descriptor: int


class Order(_Message):
    """The first frame to a process: what it loads, and how it is sealed."""

    parent: int
    components: tuple[Loaded, ...]
    lanes: int
    memory_bytes_max: int


class Ready(_Message):
    """The process is sealed; `walls` tells of every wall why it does not stand, or nothing."""

    walls: dict[str, str]


class Refused(_Message):
    """The process cannot load what it was ordered to."""

    code: str
    message: str


class Begin(_Message):
    """Begins a run."""

    component: int
    export: str
    argument: bytes | None
    limits: Limits
    granted: tuple[str, ...]


class Asked(_Message):
    """A guest's host call, and what the run has used until then."""

    interface: str
    function: str
    request: bytes
    usage: Usage


class Reply(_Message):
    """The answer to `Asked`."""

    is_ok: bool
    text: bytes


class Halt(_Message):
    """Instead of `Reply`: end the run."""


class Pause(_Message):
    """Before `Reply` or `Halt`: stop the run's clock until that comes."""


class Returned(_Message):
    """The run returned."""

    value: bytes | None
    is_error: bool
    usage: Usage


class Halted(_Message):
    """The run has ended as `Halt` asked."""

    usage: Usage


class Stopped(_Message):
    """The run was ended by the sandbox; `function` is the host function that was not granted."""

    code: str
    message: str
    function: str | None
    usage: Usage


FromHost = Begin | Reply | Halt | Pause
FromGuests = Asked | Returned | Halted | Stopped
Start = Ready | Refused
_Heard = TypeVar("_Heard")


class Channel(Generic[_Heard]):
    """One end of a stream of frames; used by one thread at a time.

    Args:
        stream: a connected socket; its timeout bounds every single wait.
        hears: the messages that may arrive.
        bytes_max: of one frame that arrives.
    """

    def __init__(self, stream: socket.socket, hears: object, *, bytes_max: int) -> None:
        self.stream = stream
        self.bytes_max = bytes_max
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[_Heard] = msgspec.msgpack.Decoder(hears)

    def send(self, message: msgspec.Struct) -> None:
        """Send a message.

        Raises:
            EndedError: the other side is gone.
            TimeoutError: it does not take it.
        """
        body = self._encoder.encode(message)
        try:
            self.stream.sendall(_LENGTH.pack(len(body)) + body)
        except TimeoutError:
            raise
        except OSError as gone:
            raise EndedError from gone

    def receive(self) -> _Heard:
        """Wait for the next message.

        Raises:
            EndedError: the other side is gone.
            FrameError: a frame that is too large or holds no message that is heard here.
            TimeoutError: nothing came.
        """
        (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size))
        if length > self.bytes_max:
            raise FrameError(f"a frame of {length} bytes, at most {self.bytes_max}")
        try:
            return self._decoder.decode(self._exactly(length))
        except (msgspec.MsgspecError, RecursionError) as refused:
            raise FrameError("a frame that holds no message for this side") from refused

    def _exactly(self, size: int) -> bytes:
        try:
            found = self.stream.recv(size)
            if len(found) == size:
                return found
            parts = bytearray(found)
            while found and len(parts) < size:
                found = self.stream.recv(size - len(parts))
                parts += found
        except TimeoutError:
            raise
        except OSError as gone:
            raise EndedError from gone
        if len(parts) < size:
            raise EndedError
        return bytes(parts)


def bytes_of(text: str) -> bytes:
    """A text as it travels."""
    return text.encode("utf-8", "surrogatepass")


def text_of(data: bytes) -> str:
    """A text that travelled from the host."""
    return data.decode("utf-8", "surrogatepass")
