"""The rows of a program: its operations in order, each with its answer.

Row 0 holds the program's name, revision and request; the last row of an ended program its answer.
Rows are journalled as a flow's calls are, under the id `<flow id>/<call>`: written once, never
changed, and compared when the program is run again.
"""

import hashlib
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from host.domain.capability_error import CapabilityError
from host.domain.ids import EpochMs, FlowId
from host.domain.json import JsonObject, JsonValue
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.versioned_codec import read_stored
from host.ports.guest import GuestKilledError
from host.ports.programs import Operation, ProgramId

ROWS_MAX = 100_000
ROWS_BYTES_MAX = 64 * 1024 * 1024
BEGIN = "begin"
END = "end"


class Row(Struct, frozen=True, kw_only=True, array_like=True):
    """An answered operation. `answer` is JSON text: the value, or the error object."""

    v: int = 1
    number: int
    kind: str
    digest: str
    is_error: bool
    answer: str
    at: EpochMs


class Begun(Struct, frozen=True, kw_only=True):
    """The content of row 0."""

    name: str
    revision: int
    request: str


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Row)
_begun_decoder = msgspec.json.Decoder(Begun)


class ProgramRows(list[Row]):
    """The rows of one program, to which rows are only appended.

    Attributes:
        journal: the id under which they are journalled.
        written: how many are stored.
        characters: total length of all answers.
        unwritten_characters: of the answers that are not stored yet.
    """

    def __init__(self, journal: FlowId, rows: Sequence[Row] = (), *, written: int = 0) -> None:
        super().__init__()
        self.journal = journal
        self.written = written
        self.characters = 0
        self.unwritten_characters = 0
        for row in rows:
            self.append(row)
        self.unwritten_characters = sum(len(row.answer) for row in rows[written:])

    def append(self, row: Row) -> None:
        super().append(row)
        self.characters += len(row.answer)
        self.unwritten_characters += len(row.answer)

    def note_written(self) -> None:
        """All rows are stored."""
        self.written = len(self)
        self.unwritten_characters = 0

    def add(
        self, kind: str, answer: str, *, at: EpochMs, digest: str = "", is_error: bool = False
    ) -> None:
        """Append the next row."""
        self.append(
            Row(number=len(self), kind=kind, digest=digest, is_error=is_error, answer=answer, at=at)
        )

    @property
    def program(self) -> ProgramId:
        begun = self._begun()
        return ProgramId(name=begun.name, revision=begun.revision)

    @property
    def request(self) -> JsonObject:
        request: JsonObject = msgspec.json.decode(self._begun().request)
        return request

    def is_full(self) -> bool:
        return len(self) >= ROWS_MAX or self.characters >= ROWS_BYTES_MAX

    def _begun(self) -> Begun:
        return _begun_decoder.decode(self[0].answer)


class ProgramNonDeterministicError(GuestKilledError):
    """A program that is run again performs another operation than the stored one."""

    def __init__(self, row: Row, call: str, kind: str) -> None:
        super().__init__(
            "flow-non-deterministic",
            f"operation {call}.{row.number} differs from the journal: expected {row.kind}"
            f" (request {row.digest[:12]}), the program performed {kind}",
        )


def program_journal(flow_id: FlowId, call: int) -> FlowId:
    """The id under which the program of a call is journalled."""
    return FlowId(f"{flow_id}/{call}")


def begin(flow_id: FlowId, call: int, program: ProgramId, request: str, at: EpochMs) -> ProgramRows:
    """The rows of a program that begins."""
    rows = ProgramRows(program_journal(flow_id, call))
    begun = Begun(name=program.name, revision=program.revision, request=request)
    rows.add(BEGIN, _encoder.encode(begun).decode(), at=at)
    return rows


def decode_rows(journal: FlowId, rows: Sequence[bytes]) -> ProgramRows:
    """Read a program's stored rows.

    Raises:
        FlowRecordDamagedError: another format version, damage, a gap in the numbers, or no row 0.
    """
    found = [read_stored(_decoder, row, "a program's row", versions=(1,)) for row in rows]
    if not found or [row.number for row in found] != list(range(len(found))):
        raise FlowRecordDamagedError(f"the rows of program {journal} are not whole")
    if found[0].kind != BEGIN:
        raise FlowRecordDamagedError(f"row 0 of program {journal} is no beginning")
    return ProgramRows(journal, found, written=len(found))


def encode_row(row: Row) -> bytes:
    return _encoder.encode(row)


def kind_of(operation: Operation) -> str:
    """The name of an operation in rows: `call`, `open`, .."""
    return type(operation).__name__.lower()


def digest_of(operation: Operation) -> str:
    """Digest of an operation's fields: 32 hexadecimal digits of SHA-256."""
    fields = msgspec.json.encode(operation, order="sorted")
    return hashlib.sha256(fields).hexdigest()[:32]


def check_row(row: Row, operation: Operation, call: str) -> None:
    """Compare an operation with the stored one.

    Raises:
        ProgramNonDeterministicError: they differ.
    """
    if (row.kind, row.digest) != (kind_of(operation), digest_of(operation)):
        raise ProgramNonDeterministicError(row, call, kind_of(operation))


def error_json(error: CapabilityError) -> JsonObject:
    """A refusal as it is stored and given to programs."""
    found: dict[str, JsonValue] = {"code": error.code, "message": error.message}
    if error.reason_code is not None:
        found["reasonCode"] = error.reason_code
    if error.account is not None:
        found["account"] = error.account
    return found


def error_of(answer: str) -> CapabilityError:
    """The refusal that a row holds."""
    found = msgspec.json.decode(answer)
    return CapabilityError(
        found["code"],
        found["message"],
        reason_code=found.get("reasonCode"),
        account=found.get("account"),
    )
