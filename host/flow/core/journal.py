"""The journal of a flow: its host calls in order, each with its answer.

Pure. An entry is written once and never changed; a replayed run must make the same calls.
"""

import hashlib
from collections.abc import Iterable, Sequence
from sys import getsizeof
from typing import NamedTuple

import msgspec
from msgspec import Struct

from host.domain.ids import EpochMs
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.message_trace import Note
from host.flow.core.versioned_codec import read_stored
from host.ports.guest import GuestKilledError

JOURNAL_VERSIONS = (1, 2)
"""Versions that can be read; fields added in 2 have defaults that suit rows of version 1."""
REQUEST_CHARACTERS_MAX = 512
"""Characters of a request that an entry keeps, for display; the digest covers all of it."""


_SHOWN_CHARACTERS_MAX = 200
"""Characters of a request in the report of a call that differs."""


class Entry(Struct, frozen=True, kw_only=True, array_like=True):
    """An answered call. `answer` is JSON text: the value of `ok`, or the error object.

    The fields after `answer` are only for the flow's history, and rows of version 1 lack them:
    times of the first call and of its answer, the beginning of the request, and the session
    messages since the previous entry.
    """

    v: int = 2
    call: int
    function: str
    digest: str
    is_error: bool
    answer: str
    since: EpochMs = EpochMs(0)
    at: EpochMs = EpochMs(0)
    request: str = ""
    notes: tuple[Note, ...] = ()


class Entries(list[Entry]):
    """A journal in memory, to which entries are only appended.

    Attributes:
        characters: total length of all answers.
        bytes: memory of the entries' texts.
        latest_now: the latest answer of `flow.now`, JSON text; empty if there is none.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        super().__init__()
        self.characters = 0
        self.bytes = 0
        self.latest_now = ""
        for entry in entries:
            self.append(entry)

    def append(self, entry: Entry) -> None:
        """Add an entry and its sizes."""
        super().append(entry)
        self.characters += len(entry.answer)
        self.bytes += getsizeof(entry.answer) + getsizeof(entry.request)
        if entry.function == "flow.now" and not entry.is_error:
            self.latest_now = entry.answer


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Entry)


class Made(NamedTuple):
    """A call of a flow. `request` is the beginning of its text, if known."""

    function: str
    digest: str
    request: str = ""


class FlowNonDeterministicError(GuestKilledError):
    """A replayed run made a call that differs from the journal."""

    def __init__(self, call: int, *, expected: str, actual: str) -> None:
        super().__init__(
            "flow-non-deterministic",
            f"call {call} differs from the journal: expected {expected}, the flow made {actual}",
        )


def request_digest(request: str) -> str:
    """Digest of a request's text: 32 hexadecimal digits of SHA-256."""
    return hashlib.sha256(request.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def encode_entry(entry: Entry) -> bytes:
    return _encoder.encode(entry)


def decode_journal(rows: Sequence[bytes]) -> Entries:
    """Read a flow's journal.

    Raises:
        FlowRecordDamagedError: another format version, damage, or a gap in the numbers.
    """
    return Entries(decode_entry(row, number) for number, row in enumerate(rows))


def decode_entry(row: bytes, number: int) -> Entry:
    """Read one journal row; raises as `decode_journal`."""
    entry = read_stored(_decoder, row, "a journal row", versions=JOURNAL_VERSIONS)
    if entry.call != number:
        raise FlowRecordDamagedError(
            f"journal row {number} holds call {entry.call}, expected call {number}"
        )
    return entry


def check_call(call: int, expected: Made, actual: Made) -> None:
    """Compare a call with the journalled one, by function and digest.

    Raises:
        FlowNonDeterministicError: they differ.
    """
    if expected[:2] != actual[:2]:
        raise FlowNonDeterministicError(call, expected=_shown(expected), actual=_shown(actual))


def _shown(made: Made) -> str:
    beginning = made.request[:_SHOWN_CHARACTERS_MAX]
    more = "..." if len(made.request) > len(beginning) else ""
    text = f" {beginning}{more}" if beginning else ""
    return f"{made.function} (request {made.digest[:12]}{text})"
