"""Answers host calls from a recording, and detects the first call that differs.

Pure. Both replays use it: the one in the sandbox and the one under a debugger.
"""

from collections.abc import Callable
from dataclasses import dataclass

from host.domain.errors import InvalidInputError
from host.domain.flow import FlowStatusName
from host.flow.core.journal import request_digest
from host.flow.records.history_export import Recording, Step

GUEST_FAILURE = "FLOW_FAILED"
"""Error type of a flow that failed in its own code; all others come from the platform."""


class RecordingIncompleteError(InvalidInputError):
    """The export lacks what a replay needs: its history was too large to be kept."""

    code = "flow-export-incomplete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """The divergence of a run from the recording: the recorded call and the actual one.

    The requests are JSON texts; only the beginning of the recorded one is stored.
    """

    step: int
    expected: str
    actual: str
    expected_request: str = ""
    actual_request: str = ""


class Diverged(Exception):  # noqa: N818  # an outcome, not a defect
    """The run made another call than the recording holds."""

    def __init__(self, divergence: Divergence) -> None:
        super().__init__(f"step {divergence.step} differs")
        self.divergence = divergence


class RecordingEnded(Exception):  # noqa: N818  # an outcome, not a defect
    """The run has reached the point where the recorded flow waits or was ended from outside."""


def require_whole(recording: Recording) -> str:
    """The start argument of a recording that can be replayed.

    Raises:
        RecordingIncompleteError: it cannot be replayed.
    """
    if recording.start is None or not recording.is_whole or _lacks_answers(recording):
        raise RecordingIncompleteError(
            f"the recording of flow {recording.flow.id} has {len(recording.steps)} of its"
            f" {recording.step_count} steps, and cannot be replayed; a host keeps whole histories"
            " up to its setting flow_history_bytes_max"
        )
    return recording.start


class JournalAnswers:
    """Returns the recorded answers in order. Used by one run."""

    def __init__(self, recording: Recording, *, waits_digest: str | None = None) -> None:
        """Answer the calls of one run.

        Args:
            recording: a complete one.
            waits_digest: of the request in which the recorded flow waits, if it is known.
        """
        self._recording = recording
        self._waits_digest = waits_digest
        self.made = 0

    def next(self, function: str, request: str) -> Step:
        """The recorded step of the next call.

        Args:
            function: such as `sessions.send`.
            request: JSON text as the guest gave it.

        Raises:
            Diverged: another call was recorded, or none.
            RecordingEnded: the recording has no further step.
        """
        if self.made == len(self._recording.steps):
            self._beyond(function, request)
        step = self._recording.steps[self.made]
        if (step.function, step.digest) != (function, request_digest(request)):
            raise Diverged(
                Divergence(
                    step=self.made,
                    expected=step.function,
                    actual=function,
                    expected_request=step.request,
                    actual_request=request,
                )
            )
        self.made += 1
        return step

    def _beyond(self, function: str, request: str) -> None:
        recording = self._recording
        waiting = recording.waiting
        is_same = self._waits_digest in (None, request_digest(request))
        if waiting is not None and waiting.function == function and is_same:
            raise RecordingEnded
        if waiting is None and not came_to_its_end(recording):
            raise RecordingEnded
        expected = f"waiting in {waiting.function}" if waiting else ended_words(recording)
        raise Diverged(
            Divergence(step=self.made, expected=expected, actual=function, actual_request=request)
        )

    def outcome(self, result: str | None, failure: str | None) -> Divergence | None:
        """Compare how the run ended: `result` if it returned, else the message of its `failure`."""
        recording, outcome = self._recording, self._recording.outcome
        actual = f"failed: {failure}" if result is None else "completed"
        if self.made < len(recording.steps):
            missing = recording.steps[self.made]
            return Divergence(
                step=self.made,
                expected=missing.function,
                actual=actual,
                expected_request=missing.request,
            )
        if recording.waiting is not None:
            waits = f"waiting in {recording.waiting.function}"
            return Divergence(step=self.made, expected=waits, actual=actual)
        if not came_to_its_end(recording):
            return None
        if (outcome.result, _own_message(recording)) == (result, failure):
            return None
        expected = ended_words(recording)
        if expected == actual:
            expected, actual = f"result {outcome.result}", f"result {result}"
        return Divergence(step=self.made, expected=expected, actual=actual)


def came_to_its_end(recording: Recording) -> bool:
    """Whether the recorded code returned or raised, rather than being ended from outside.

    A flow that failed without a trace of its own code lost a session after its code had returned.
    """
    outcome = recording.outcome
    if outcome.status is FlowStatusName.COMPLETED:
        return True
    return (
        outcome.status is FlowStatusName.FAILED
        and outcome.error_type == GUEST_FAILURE
        and bool(outcome.trace)
    )


def ended_words(recording: Recording) -> str:
    """How the recorded flow ended, in the words of `JournalAnswers.outcome`."""
    if recording.outcome.status is FlowStatusName.COMPLETED:
        return "completed"
    return f"failed: {recording.outcome.error_message}"


def _own_message(recording: Recording) -> str | None:
    if recording.outcome.status is FlowStatusName.COMPLETED:
        return None
    return recording.outcome.error_message


def _lacks_answers(recording: Recording) -> bool:
    return any(step.answer is None for step in recording.steps)


OnStep = Callable[[int, str], None]
"""Called with the number and function of a call before it is answered."""
