"""A recorded flow as one document, with everything that a replay of its run needs.

Pure. The format has a version; docs/reference/flow-export.md describes it for other programs.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec
from msgspec import Struct

from host.domain.errors import InvalidInputError
from host.domain.flow import FlowStatusName
from host.domain.ids import EpochMs, ShortHash
from host.domain.packages import CpiRecord
from host.flow.core.journal import Entry
from host.flow.core.message_trace import Note
from host.flow.core.messages import other_side
from host.flow.records.history import History, SessionFacts

FORMAT = "cordbox-flow"
VERSION = 1
RECORDING_BYTES_MAX = 64 * 1024 * 1024


class RecordingInvalidError(InvalidInputError):
    """A file is not an export of a flow, or this version cannot read it."""

    code = "flow-export-invalid"


class RecordingTooLargeError(InvalidInputError):
    """The journal of a running flow is too large to be exported."""

    code = "flow-export-too-large"


class _Part(Struct, frozen=True, rename="camel"):
    """Base of the document's parts: JSON objects with keys in camel case."""


class Message(_Part, frozen=True, kw_only=True):
    """A session message of the flow; `size` is the payload's length in characters."""

    direction: Literal["sent", "received"]
    session: str
    sequence: int
    kind: str
    size: int
    at: EpochMs


class Step(_Part, frozen=True, kw_only=True):
    """A host call with its answer. `request` is the beginning of the call's JSON text.

    `answer` is JSON text; None in a document without payloads. `messages` were sent or received
    since the previous step. Times are 0 in journals of older hosts.
    """

    number: int
    function: str
    digest: str
    is_error: bool
    answer: str | None
    answer_size: int
    since: EpochMs
    at: EpochMs
    request: str
    messages: tuple[Message, ...]


class RecordedSession(_Part, frozen=True, kw_only=True):
    id: str
    peer_session: str
    is_initiator: bool
    peer: str
    protocol: str
    version: int | None
    status: str
    failure: str | None


class RecordedFlow(_Part, frozen=True, kw_only=True):
    id: str
    flow_class: str
    request_id: str
    is_responder: bool
    created_at: EpochMs
    ended_at: EpochMs | None


class Node(_Part, frozen=True, kw_only=True):
    short_hash: ShortHash
    name: str
    group_id: str


class Cpi(_Part, frozen=True, kw_only=True):
    """The package whose code ran; without identity if the host no longer stores it."""

    file_checksum: str
    name: str | None
    version: str | None
    signer_summary_hash: str | None


class Outcome(_Part, frozen=True, kw_only=True):
    """The flow's current or final state. `trace` holds lines like `iou/flows.py:12 call`.

    `error_code` is None also in exports of hosts that did not write it.
    """

    status: FlowStatusName
    result: str | None
    error_type: str | None
    error_message: str | None
    trace: tuple[str, ...]
    error_code: str | None = None


class OpenCall(_Part, frozen=True, kw_only=True):
    """The host call in which a running flow waits."""

    function: str
    since: EpochMs


class Recording(_Part, frozen=True, kw_only=True):
    """The document. `start` is the argument of the guest's `run`, None if it was not kept.

    `first_step` is the number of the first of `steps`; it is 0 in an export. `step_count` counts
    all steps of the flow; an ended flow whose history was too large has a count and no steps.
    """

    format: str = FORMAT
    version: int = VERSION
    flow: RecordedFlow
    node: Node
    cpi: Cpi
    start: str | None
    first_step: int
    step_count: int
    steps: tuple[Step, ...]
    messages: tuple[Message, ...]
    waiting: OpenCall | None
    sessions: tuple[RecordedSession, ...]
    outcome: Outcome

    @property
    def is_whole(self) -> bool:
        """Whether the document contains everything that a replay needs."""
        return self.start is not None and self.step_count == len(self.steps)


class _Header(Struct):
    format: str = ""
    version: int = 0


_encoder = msgspec.json.Encoder()
_header_decoder = msgspec.json.Decoder(_Header)
_decoder = msgspec.json.Decoder(Recording)


def recording_of(
    history: History, cpi: CpiRecord | None, *, with_payloads: bool = True, first_step: int = 0
) -> Recording:
    """Build the document, without its steps.

    Args:
        history: the flow.
        cpi: the stored package, if the host still has it.
        with_payloads: whether to include answers and the start argument.
        first_step: the number of the first of its steps.
    """
    holding = history.holding.holding()
    return Recording(
        flow=RecordedFlow(
            id=history.flow_id,
            flow_class=history.flow_class,
            request_id=history.request_id,
            is_responder=history.responds_to is not None,
            created_at=history.created_at,
            ended_at=history.ended_at,
        ),
        node=Node(
            short_hash=holding.short_hash,
            name=history.holding.name,
            group_id=history.holding.group_id,
        ),
        cpi=_cpi(history.cpi_checksum, cpi),
        start=history.start if with_payloads else None,
        first_step=first_step,
        step_count=history.calls,
        steps=(),
        messages=tuple(_message(n) for n in history.notes),
        waiting=_open_call(history),
        sessions=tuple(_session(s) for s in history.sessions),
        outcome=Outcome(
            status=history.status,
            result=history.result,
            error_type=history.error_type,
            error_code=history.error_code,
            error_message=history.error_message,
            trace=history.trace,
        ),
    )


def recording_with_steps(
    history: History, entries: Iterable[Entry], cpi: CpiRecord | None
) -> Recording:
    """The whole document, in memory; see `check_export_size`."""
    steps = tuple(_step(entry, with_payloads=True) for entry in entries)
    return msgspec.structs.replace(recording_of(history, cpi), steps=steps)


def encode_in_parts(
    recording: Recording, entries: Iterable[Entry], *, with_payloads: bool = True
) -> Iterator[bytes]:
    """The document as JSON text, with the steps of `entries`, which are read one by one."""
    # No JSON string can contain these bytes: its quotation marks are escaped.
    head, steps, tail = _encoder.encode(recording).partition(b'"steps":[')
    yield head + steps
    for number, entry in enumerate(entries):
        step = _encoder.encode(_step(entry, with_payloads=with_payloads))
        yield b"," + step if number else step
    yield tail


def check_export_size(flow_id: str, journal_bytes: int) -> None:
    """Refuse an export that is too large for every reader, before it begins.

    Raises:
        RecordingTooLargeError: the journal, which is most of it, is too large.
    """
    if journal_bytes > RECORDING_BYTES_MAX:
        raise RecordingTooLargeError(
            f"the journal of flow {flow_id} has {journal_bytes} bytes, at most"
            f" {RECORDING_BYTES_MAX} are exported"
        )


def parse_recording(data: bytes, label: str) -> Recording:
    """Read an export.

    Args:
        data: JSON text.
        label: names the file in refusals.

    Raises:
        RecordingInvalidError: it is not an export, of another version, or damaged.
    """
    if len(data) > RECORDING_BYTES_MAX:
        raise RecordingInvalidError(f"{label}: larger than {RECORDING_BYTES_MAX} bytes")
    try:
        header = _header_decoder.decode(data)
        if header.format != FORMAT:
            raise RecordingInvalidError(f"{label}: no export of a flow: format {header.format!r}")
        if header.version != VERSION:
            raise RecordingInvalidError(
                f"{label}: export version {header.version}, this command reads {VERSION}"
            )
        recording = _decoder.decode(data)
    except (ValueError, RecursionError) as exc:
        raise RecordingInvalidError(f"{label}: no export of a flow: {exc}") from exc
    for number, step in enumerate(recording.steps, start=recording.first_step):
        if step.number != number:
            raise RecordingInvalidError(f"{label}: step {step.number}, expected step {number}")
    return recording


def _cpi(checksum: str, record: CpiRecord | None) -> Cpi:
    identity = record.identity if record else None
    return Cpi(
        file_checksum=checksum,
        name=identity.name if identity else None,
        version=identity.version if identity else None,
        signer_summary_hash=identity.signer_summary_hash if identity else None,
    )


def _step(entry: Entry, *, with_payloads: bool) -> Step:
    return Step(
        number=entry.call,
        function=entry.function,
        digest=entry.digest,
        is_error=entry.is_error,
        answer=entry.answer if with_payloads else None,
        answer_size=len(entry.answer),
        since=entry.since,
        at=entry.at,
        request=entry.request,
        messages=tuple(_message(n) for n in entry.notes),
    )


def _message(note: Note) -> Message:
    return Message(
        direction="sent" if note.is_sent else "received",
        session=note.session,
        sequence=note.sequence,
        kind=note.kind,
        size=note.size,
        at=note.at,
    )


def _open_call(history: History) -> OpenCall | None:
    if history.waiting is None:
        return None
    return OpenCall(function=history.waiting, since=history.waiting_since or EpochMs(0))


def _session(session: SessionFacts) -> RecordedSession:
    return RecordedSession(
        id=session.id,
        peer_session=other_side(session.id),
        is_initiator=session.is_initiator,
        peer=session.peer.name,
        protocol=session.protocol,
        version=session.version,
        status=session.status.value,
        failure=session.failure,
    )
