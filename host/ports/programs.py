"""Platform flows: protocols of the platform that run on the host within a flow's host call.

A program is a deterministic generator: it yields operations and gets their answers. Each answer is
stored under a number below that of the call; a process that takes the flow over runs the generator
again with the stored answers. A program has no clock, randomness, input or output but by its
operations, and no state but its own locals.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, TypeAlias

from host.domain.json import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Call:
    """Call the internal function `protocol.<function>` of the capability that the program serves.

    Answers what the function answers; a refusal is raised in the program as `CapabilityError`. A
    function with an effect must be repeatable: it is called again if the step does not commit.

    Attributes:
        audited: the host function, as `ledger.sign`, under which the node's audit log records the
            call once it has succeeded; None: it is part of the guest's call, whose entry tells it.
    """

    function: str
    request: JsonObject
    audited: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """Open a session of a protocol of the platform; answers its id. Nothing is sent yet."""

    counterparty: str
    protocol: str
    versions: tuple[int, ...]
    timeout_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Counterparties:
    """Answers the X.500 names of the members at the other ends of sessions, in their order."""

    sessions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Close:
    """Close a session that the program opened, without waiting for its peer; answers null."""

    session: str


@dataclass(frozen=True, slots=True)
class FailSession:
    """End a session with an error that its peer gets; answers null."""

    session: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Send:
    """Send a payload; answers null, or a made payload's summary.

    A `made` payload is the answer of a call: `{"payload": .., "summary": ..}`. It is not stored
    with the program, so that large payloads need not be; the summary must be small.
    A session that has failed or is closed raises `CapabilityError` in the program.
    """

    session: str
    payload: JsonValue = None
    made: Call | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receive:
    """Read the next payload of each session, or of those that have one.

    Answers a list in the order of `sessions` of `{"session", "payload"}`, or
    `{"session", "error": {"code", "message"}}` for a session that has failed or is closed.

    Attributes:
        sessions: distinct, at least one.
        any: answer as soon as one of the sessions can be read, with those that can.
        within_ms: answer `timed-out` for the sessions that cannot be read by then.
        into: a payload is given to this call, as `payload` in its request, with the X.500 name of
            its sender as `counterparty`; the call's answer stands for it, or its refusal as the
            session's error.
    """

    sessions: tuple[str, ...]
    any: bool = False
    within_ms: int | None = None
    into: Call | None = None


@dataclass(frozen=True, slots=True)
class Now:
    """Answers the time of day, an instant."""


@dataclass(frozen=True, slots=True)
class Random:
    """Answers random bytes, base64."""

    bytes: int


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait; answers null."""

    ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Remember:
    """Start a system flow on this node later, even if this flow fails or its host stops.

    It is started again every `again_ms` until `Forget` names its key: a start that fails, or that
    finds the node's flows switched off, is repeated. Another `Remember` with the key replaces it.
    Answers null.

    Attributes:
        flow: the class of a system flow.
        key: unique among those of the node; letters, digits, `.`, `_`, `:` and `-`, at most 128.
        request: the request of the system flow's program.
        after_ms: of the first start, from now.
        again_ms: between two starts.
    """

    flow: str
    key: str
    request: JsonObject
    after_ms: int
    again_ms: int


@dataclass(frozen=True, slots=True)
class Forget:
    """Undo `Remember`; answers null. Nothing happens if there is none with the key."""

    key: str


Operation: TypeAlias = (
    Call
    | Open
    | Counterparties
    | Close
    | FailSession
    | Send
    | Receive
    | Now
    | Random
    | Sleep
    | Remember
    | Forget
)
Program: TypeAlias = Callable[[JsonObject], Generator[Operation, JsonValue, JsonValue]]
"""Takes the request of the host call, and returns its answer.

A `CapabilityError` that it raises is the call's refusal.
"""

TIMED_OUT = "timed-out"

INTERNAL = "protocol."
"""Begins the names of functions that only programs call; no guest can name them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramId:
    """One revision of a program.

    Whoever changes the order or content of operations adds a revision, and keeps the old one while
    flows of earlier releases may hold it.
    """

    name: str
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemFlow:
    """A flow of the platform itself: a program instead of a guest.

    It is started by `Remember`, or as the responder of its protocol; clients cannot start it, it
    does not count to the node's open flows, and it has no history.

    Attributes:
        name: its flow class, which begins with `cordbox:`; those of CPIs never do.
        program: the name of its program, which takes the request of `Remember`, or of a responder
            `{"session", "counterparty", "protocol", "version"}`.
        interface: the capability whose internal functions the program calls.
        protocol: begins with `cordbox.`, which no flow of a CPI may declare; None: no responder.
        versions: of the protocol.
    """

    name: str
    program: str
    interface: str
    protocol: str | None = None
    versions: tuple[int, ...] = (1,)


SYSTEM_FLOW = "cordbox:"
"""Begins the classes of system flows."""
SYSTEM_PROTOCOL = "cordbox."
"""Begins the protocols whose responders are system flows."""


class Programs(Protocol):
    """The programs of this release."""

    def begun_by(self, function: str, request: JsonObject) -> ProgramId | None:
        """The newest revision of the program that performs a host call; None: a capability does.

        Args:
            function: `interface.function`.
            request: the request of the call, not checked yet.
        """
        ...

    def find(self, program: ProgramId) -> Program | None:
        """The program; None if this release does not have that revision."""
        ...

    def newest(self, name: str) -> ProgramId:
        """The newest revision of a program of this release."""
        ...

    def system_flow(self, flow_class: str) -> SystemFlow | None:
        """The system flow of this class; None if this release has none."""
        ...

    def responder(self, protocol: str) -> SystemFlow | None:
        """The system flow that responds to this protocol; None if this release has none."""
        ...

    def cleanup_after(self, function: str, request: JsonObject) -> str | None:
        """The class of the system flow that releases what a host call holds for its flow.

        Args:
            function: `interface.function`.
            request: the request of the call.
        """
        ...


class NoPrograms:
    """No host call is performed by a program."""

    def begun_by(self, function: str, request: JsonObject) -> ProgramId | None:  # noqa: ARG002
        return None

    def find(self, program: ProgramId) -> Program | None:  # noqa: ARG002
        return None

    def newest(self, name: str) -> ProgramId:
        raise KeyError(name)

    def system_flow(self, flow_class: str) -> SystemFlow | None:  # noqa: ARG002
        return None

    def responder(self, protocol: str) -> SystemFlow | None:  # noqa: ARG002
        return None

    def cleanup_after(self, function: str, request: JsonObject) -> str | None:  # noqa: ARG002
        return None


class ProgramTable:
    """Programs by name and revision, and the host calls that they perform.

    Args:
        programs: all revisions.
        calls: program names by host function and the request's `op`; None stands for no `op`.
        system_flows: flows whose root is a program.
        cleanups: classes of those that release what a host call holds, as `calls`. They take
            `{"flow"}`, and start after the end of the flow unless the end was reported.
    """

    def __init__(
        self,
        programs: Mapping[tuple[str, int], Program],
        calls: Mapping[tuple[str, str | None], str],
        system_flows: Sequence[SystemFlow] = (),
        cleanups: Mapping[tuple[str, str | None], SystemFlow] = MappingProxyType({}),
    ) -> None:
        self._programs = dict(programs)
        self._calls = dict(calls)
        self._newest: dict[str, int] = {}
        for name, revision in self._programs:
            self._newest[name] = max(revision, self._newest.get(name, 0))
        self._system_flows = {flow.name: flow for flow in system_flows}
        self._responders = {flow.protocol: flow for flow in system_flows if flow.protocol}
        self._cleanups = {call: flow.name for call, flow in cleanups.items()}

    def begun_by(self, function: str, request: JsonObject) -> ProgramId | None:
        op = request.get("op")
        name = self._calls.get((function, op if isinstance(op, str) else None))
        return None if name is None else self.newest(name)

    def find(self, program: ProgramId) -> Program | None:
        return self._programs.get((program.name, program.revision))

    def newest(self, name: str) -> ProgramId:
        return ProgramId(name=name, revision=self._newest[name])

    def system_flow(self, flow_class: str) -> SystemFlow | None:
        return self._system_flows.get(flow_class)

    def responder(self, protocol: str) -> SystemFlow | None:
        return self._responders.get(protocol)

    def cleanup_after(self, function: str, request: JsonObject) -> str | None:
        op = request.get("op")
        return self._cleanups.get((function, op if isinstance(op, str) else None))
