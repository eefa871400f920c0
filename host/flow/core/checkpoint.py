"""A flow's state between two runs of its guest, and its stored form."""

from typing import TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from host.domain.ids import EpochMs, FlowId
from host.flow.core.message_trace import Note
from host.flow.core.messages import Party
from host.flow.core.session import Session, is_readable
from host.flow.core.versioned_codec import read_stored

CHECKPOINT_VERSIONS = (1, 2, 3, 4, 5)
"""Versions that can be read; fields of later versions have defaults that suit earlier ones."""


class Scope(Struct, frozen=True, kw_only=True):
    """One flow on the stack: the flow itself at the bottom, sub-flows above.

    `protocol` is set for initiating flows; `sessions` are the ids opened inside.
    """

    flow: str
    protocol: str | None
    versions: tuple[int, ...] = ()
    sessions: tuple[str, ...] = ()
    context: dict[str, str] = {}


class Asleep(Struct, frozen=True, kw_only=True, tag="asleep"):
    until: EpochMs


class AwaitMessages(Struct, frozen=True, kw_only=True, tag="messages"):
    """Each of `sessions` must have a message, or be unable to receive one."""

    sessions: tuple[str, ...]


class AwaitInfo(Struct, frozen=True, kw_only=True, tag="info"):
    session: str


class AwaitClose(Struct, frozen=True, kw_only=True, tag="close"):
    sessions: tuple[str, ...]


class AwaitSessions(Struct, frozen=True, kw_only=True, tag="sessions"):
    """One of `sessions`, or each, must have a message or be unable to receive one, or it is time.

    Programs wait so; guests for `AwaitMessages`.
    """

    sessions: tuple[str, ...]
    any: bool
    until: EpochMs | None


class AwaitProgram(Struct, frozen=True, kw_only=True, tag="program"):
    """The program that performs the call must have ended."""


Condition: TypeAlias = (
    Asleep | AwaitMessages | AwaitInfo | AwaitClose | AwaitSessions | AwaitProgram
)


class Waiting(Struct, frozen=True, kw_only=True):
    """The call in which the guest is suspended. It is repeated when `condition` holds.

    `since` is the time of its first execution, for the flow's history.
    """

    call: int
    function: str
    digest: str
    condition: Condition
    since: EpochMs = EpochMs(0)


class RunningProgram(Struct, frozen=True, kw_only=True):
    """The program that performs the guest's waiting call.

    Attributes:
        call: the call's number in the flow's journal.
        rows: length of the program's own journal.
        depth: of the flow's stack when it began.
        condition: what its next operation waits for; None: it can be performed.
        ended: its answer is the last row.
    """

    call: int
    rows: int
    depth: int
    condition: Asleep | AwaitSessions | None = None
    ended: bool = False


class Ending(Struct, frozen=True, kw_only=True):
    """The guest has returned `result`; the flow waits for its sessions to close.

    A large result is stored beside the checkpoint, and is None here.
    """

    result: str | None
    sessions: tuple[str, ...]


class Checkpoint(Struct, frozen=True, kw_only=True):
    """A flow that has not ended. `calls` is the length of its journal.

    `request_id` is the client request id, or the session id of a responder. A large body is stored
    in a state of its own: it is None here, and `body_bytes` is its size. `idle_at` is when the flow
    fails without a further event. `notes` are those since the last journal entry.

    `lent` are sessions that programs opened. Those that are over leave `sessions`, so that a flow
    may call programs without end: `gone` has the last sequence number received in the newest of
    them, and `gone_count` says how many there were.

    `cleanups` are the classes of system flows that release what the flow's calls hold.
    """

    v: int = 5
    flow_id: FlowId
    holding: Party
    cpi_checksum: str
    flow_class: str
    request_id: str
    body: str | None
    responds_to: str | None
    created_at: EpochMs
    stack: tuple[Scope, ...]
    sessions: dict[str, Session] = {}
    calls: int = 0
    waiting: Waiting | None = None
    ending: Ending | None = None
    timer: EpochMs | None = None
    idle_at: EpochMs | None = None
    notes: tuple[Note, ...] = ()
    body_bytes: int = 0
    program: RunningProgram | None = None
    lent: tuple[str, ...] = ()
    gone: dict[str, int] = {}
    gone_count: int = 0
    cleanups: tuple[str, ...] = ()

    def with_session(self, session: Session) -> "Checkpoint":
        return replace(self, sessions={**self.sessions, session.id: session})

    @property
    def scope(self) -> Scope:
        return self.stack[-1]


_decoder = msgspec.json.Decoder(Checkpoint)


def decode_checkpoint(data: bytes) -> Checkpoint:
    """Read a stored checkpoint.

    Raises:
        FlowRecordDamagedError: another format version, or damage.
    """
    stored = read_stored(_decoder, data, "a checkpoint", versions=CHECKPOINT_VERSIONS)
    return replace(stored, v=CHECKPOINT_VERSIONS[-1])


def is_satisfied(checkpoint: Checkpoint, condition: Condition, now: EpochMs) -> bool:
    """Whether the call that waits for `condition` can be answered now."""
    held = checkpoint.sessions
    match condition:
        case Asleep(until=until):
            return now >= until
        case AwaitMessages(sessions=ids):
            return all(is_readable(held[i]) for i in ids)
        case AwaitInfo(session=session_id):
            session = held[session_id]
            return session.version is not None or is_readable(session)
        case AwaitClose(sessions=ids):
            return all(held[i].status.is_over for i in ids)
        case AwaitSessions(sessions=ids, until=until):
            enough = any if condition.any else all
            return enough(is_readable(held[i]) for i in ids) or (until is not None and now >= until)
        case AwaitProgram():
            return checkpoint.program is not None and checkpoint.program.ended


def due_at(checkpoint: Checkpoint) -> EpochMs | None:
    """When the call or the program that waits can be answered at the latest, if that is known."""
    waiting, program = checkpoint.waiting, checkpoint.program
    conditions = (
        None if waiting is None else waiting.condition,
        None if program is None else program.condition,
    )
    for condition in conditions:
        if isinstance(condition, Asleep | AwaitSessions) and condition.until is not None:
            return condition.until
    return None
