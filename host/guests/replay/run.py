"""Run a recorded flow again, offline: the real guest, answered from the recording."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from host.flow.records.history_export import Recording, Step
from host.guests.replay.answers import (
    Diverged,
    Divergence,
    JournalAnswers,
    RecordingEnded,
    require_whole,
)
from host.guests.replay.code import ReplayCode
from host.guests.replay.guest_trace import LOGGER
from sandbox.errors import SandboxError
from sandbox.host_api import ALWAYS_GRANTED
from sandbox.host_calls import GuestCallError, SuspendRun
from sandbox.limits import MIB, Limits
from sandbox.outcome import Returned

LIMITS = Limits(
    fuel_max=200_000_000_000,
    memory_bytes_max=1024 * MIB,
    wall_ms_max=600_000,
    payload_bytes_max=64 * MIB,
    host_calls_max=1_000_000,
    log_bytes_max=256 * MIB,
)
"""Generous limits: a flow that hit a host's limit must still be replayable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The origin of a call: a file of the CPK, the line and the function; callers follow."""

    file: str
    line: int
    function: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedStep:
    """A host call of the replay. `places` is empty if the code does not report lines.

    `values` shows the calling function's variables; `log` is what the flow logged before the call.
    """

    number: int
    function: str
    request: str
    answer: str
    is_error: bool
    places: tuple[Place, ...]
    values: Mapping[str, str]
    log: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """The result of a replay; it matches the recording unless there is a `divergence`.

    Attributes:
        steps: the calls that match the recording.
        divergence: the first difference.
        places: the origin of the diverging call.
        ended: how the run ended: `completed`, `failed: ..`, `stopped`, or `waiting` where the
            recording ends.
        log: what the flow logged after the last step.
    """

    steps: tuple[ReplayedStep, ...]
    divergence: Divergence | None
    places: tuple[Place, ...]
    ended: str
    log: tuple[str, ...]


OnStep = Callable[[ReplayedStep], None]


def replay(
    recording: Recording,
    code: ReplayCode,
    *,
    until: int | None = None,
    on_step: OnStep = lambda _step: None,
    waits_digest: str | None = None,
    limits: Limits = LIMITS,
    granted: Collection[str] | None = None,
) -> Replay:
    """Run the recorded flow's code again.

    Args:
        recording: a complete recording.
        code: the code to run; with another version, the replay shows the first difference.
        until: stop after the step of this number.
        on_step: called with each step immediately.
        waits_digest: of the request in which the recorded flow waits; by default the call in which
            the replay ends needs to be of the same function only.
        limits: of the run.
        granted: what the flow may call; by default, also what it called.

    Raises:
        RecordingIncompleteError: the recording cannot be replayed.
    """
    start = require_whole(recording)
    host = _Host(recording, until=until, on_step=on_step, waits_digest=waits_digest)
    if granted is None:
        used = {step.function.partition(".")[0] for step in recording.steps}
        granted = code.capabilities | used
    try:
        outcome = code.guest.call(
            "run",
            start,
            limits=limits,
            host=host,
            granted=ALWAYS_GRANTED | frozenset(granted),
        )
    except SandboxError as stopped:
        return host.stopped(stopped)
    if not isinstance(outcome, Returned):
        return host.suspended()
    return host.returned(outcome)


@dataclass(slots=True)
class _Host:
    """The host of one replay."""

    recording: Recording
    until: int | None = field(kw_only=True)
    on_step: OnStep = field(kw_only=True)
    waits_digest: str | None = field(kw_only=True, default=None)
    steps: list[ReplayedStep] = field(default_factory=list)
    divergence: Divergence | None = None
    places: tuple[Place, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    ended: str = "waiting"
    answers: JournalAnswers = field(init=False)

    def __post_init__(self) -> None:
        self.answers = JournalAnswers(self.recording, waits_digest=self.waits_digest)

    def __call__(self, interface: str, function: str, request: str) -> str:
        if interface == "log":
            self._hear(request)
            return "null"
        try:
            step = self.answers.next(f"{interface}.{function}", request)
        except Diverged as diverged:
            self.divergence, self.ended = diverged.divergence, "stopped"
            raise SuspendRun from None
        except RecordingEnded:
            raise SuspendRun from None
        return self._answer(step, request)

    def _answer(self, step: Step, request: str) -> str:
        replayed = ReplayedStep(
            number=step.number,
            function=step.function,
            request=request,
            answer=step.answer or "",
            is_error=step.is_error,
            places=self.places,
            values=self.values,
            log=tuple(self.log),
        )
        self.log, self.places, self.values = [], (), {}
        self.steps.append(replayed)
        self.on_step(replayed)
        if step.number == self.until:
            self.ended = "stopped"
            raise SuspendRun
        if step.is_error:
            raise GuestCallError(replayed.answer)
        return replayed.answer

    def _hear(self, request: str) -> None:
        line = _object(request)
        message = line.get("message", "")
        if line.get("logger") == LOGGER:
            reported = _object(message)
            self.places = tuple(
                Place(file=str(f[0]), line=int(f[1]), function=str(f[2]))
                for f in reported.get("frames", ())
            )
            self.values = {str(k): str(v) for k, v in reported.get("values", {}).items()}
        else:
            self.log.append(f"{str(line.get('level')).upper()} {message}")

    def suspended(self) -> Replay:
        return self._replay()

    def stopped(self, error: SandboxError) -> Replay:
        self.ended = f"stopped: {error.code}: {error.message}"
        if error.code != self.recording.outcome.error_type:
            self.divergence = self.answers.outcome(None, f"{error.code}: {error.message}")
        return self._replay()

    def returned(self, outcome: Returned) -> Replay:
        value = outcome.value or ""
        failure = str(_object(value).get("message", value)) if outcome.is_error else None
        self.ended = "completed" if failure is None else f"failed: {failure}"
        self.divergence = self.answers.outcome(None if outcome.is_error else value, failure)
        return self._replay()

    def _replay(self) -> Replay:
        return Replay(
            steps=tuple(self.steps),
            divergence=self.divergence,
            places=self.places if self.divergence else (),
            ended=self.ended,
            log=tuple(self.log),
        )


def _object(text: str) -> dict[str, Any]:
    """A JSON object; an empty one for any other text, since a guest may send anything."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
