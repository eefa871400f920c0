"""A recorded flow as plain Python: every host call is answered from an export of the flow.

For debuggers. The flow runs on the calling thread, from its real files, so that breakpoints of any
debugger hold. What a flow may do in a sandbox is not enforced here; `cordbox flow replay` does.
"""

import dataclasses
import json
import pdb  # noqa: T100  # a debugger is what this is for
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from host.domain.errors import InvalidInputError
from host.flow.records.history_export import Recording, parse_recording
from host.guests.replay.answers import (
    Diverged,
    Divergence,
    JournalAnswers,
    OnStep,
    RecordingEnded,
    require_whole,
)
from host.guests.replay.run import LIMITS
from host.tools.cordapps.project import CordappProject, load_project
from host.tools.testkit.code import import_modules
from host.tools.testkit.native_guest import NativeGuest
from host.tools.testkit.project import source_folders
from sandbox.host_calls import GuestCallError, SuspendRun
from sandbox.outcome import Returned
from sandbox.world import World


@dataclass(frozen=True)
class NativeReplay:
    """How a replay ended: as recorded, unless there is a `divergence`.

    Attributes:
        steps: host calls that went as recorded.
        result: of a flow that returned.
        error: the message of one that failed.
        missed: where `debug` was to stop and did not, as sentences.
    """

    steps: int
    result: str | None
    error: str | None
    divergence: Divergence | None
    missed: Sequence[str] = ()

    def __str__(self) -> str:
        return "\n".join([*self.missed, self._end()])

    def _end(self) -> str:
        if self.divergence is not None:
            d = self.divergence
            return f"diverges at step {d.step}: expected {d.expected}, actual {d.actual}"
        if self.result is None and self.error is None:
            return f"{self.steps} steps as recorded; the recording ends here"
        ended = f"failed: {self.error}" if self.result is None else f"completed: {self.result}"
        return f"{self.steps} steps as recorded; {ended}"


def replay(
    export: Path | Recording, project: Path, *, on_step: OnStep | None = None
) -> NativeReplay:
    """Run a recorded flow.

    Args:
        export: a file of `cordbox flow export`.
        project: the CorDapp's folder, with cordapp.toml.
        on_step: told number and function of each host call before it is answered.

    Raises:
        InvalidInputError: the export cannot be replayed, or the folder is no CorDapp.
    """
    recording = _load(export) if isinstance(export, Path) else export
    start, answers = require_whole(recording), JournalAnswers(recording)
    loaded = load_project(project)
    import_modules(loaded)
    divergence: list[Divergence] = []

    def host(interface: str, function: str, request: str) -> str:
        if interface == "log":
            return "null"
        name = f"{interface}.{function}"
        if on_step is not None:
            on_step(answers.made, name)
        try:
            step = answers.next(name, request)
        except Diverged as diverged:
            divergence.append(diverged.divergence)
            raise SuspendRun from None
        except RecordingEnded:
            raise SuspendRun from None
        if step.is_error:
            raise GuestCallError(step.answer or "")
        return step.answer or ""

    granted = frozenset(loaded.workflow.capabilities if loaded.workflow else ())
    guest = NativeGuest(World.WORKFLOW, "native", lambda _start, _failure: None)
    outcome = guest.call("run", start, limits=LIMITS, host=host, granted=granted)
    if not isinstance(outcome, Returned):
        return NativeReplay(answers.made, None, None, divergence[0] if divergence else None)
    if outcome.is_error:
        message = str(json.loads(outcome.value or "{}").get("message"))
        return NativeReplay(answers.made, None, message, answers.outcome(None, message))
    result = outcome.value or ""
    return NativeReplay(answers.made, result, None, answers.outcome(result, None))


def debug(
    export: Path | Recording,
    project: Path,
    *,
    breakpoints: Sequence[str] = (),
    at_step: int | None = None,
    debugger: pdb.Pdb | None = None,
) -> NativeReplay | None:
    """Run a recorded flow under pdb; None if the debugger was left with `quit`.

    Args:
        export: as `replay`.
        project: as `replay`.
        breakpoints: such as `iou_flows.py:42`; the file is one of the CorDapp's.
        at_step: stop at the line that makes this host call.
        debugger: another Pdb than one on the terminal.

    Raises:
        InvalidInputError: as `replay`, or a breakpoint that no file of the CorDapp has.
    """
    chosen = debugger or pdb.Pdb(nosigint=True)
    chosen.reset()  # `quitting` exists from here on, also where the debugger never stops
    loaded = load_project(project)
    places = {text: _breakpoint(loaded, text) for text in breakpoints}
    for text, (file, line) in places.items():
        problem = chosen.set_break(file, line)
        if problem:
            raise InvalidInputError(f"breakpoint {text}: {problem}")
    unhit = {text: _hits(chosen, place) for text, place in places.items()}
    made: list[str] = []

    def stop(number: int, function: str) -> None:
        made.append(function)
        frame = _flow_frame(loaded)
        if frame is not None and number == at_step:
            sys.settrace(None)
            _attach(chosen, frame)
            chosen.interaction(frame, None)
            sys.settrace(None if chosen.quitting else chosen.trace_dispatch)

    try:
        if breakpoints:
            _attach(chosen, sys._getframe())  # noqa: SLF001  # this very frame
            chosen.set_continue()
            sys.settrace(chosen.trace_dispatch)
        ended = replay(export, project, on_step=stop)
    finally:
        sys.settrace(None)
    if chosen.quitting:
        return None
    missed = [
        f"{text} was not reached"
        for text, place in places.items()
        if _hits(chosen, place) == unhit[text]
    ]
    if at_step is not None and at_step >= len(made):
        calls = "no host call" if not made else f"{len(made)} host calls"
        missed.append(f"step {at_step} was not reached: the flow made {calls}")
    return dataclasses.replace(ended, missed=missed)


def _hits(debugger: pdb.Pdb, place: tuple[str, int]) -> int | None:
    """How often the debugger met its breakpoints at a line; None if they were cleared there."""
    breaks = debugger.get_breaks(*place)
    return sum(each.hits for each in breaks) if breaks else None


def _load(export: Path) -> Recording:
    return parse_recording(export.read_bytes(), str(export))


def _breakpoint(project: CordappProject, text: str) -> tuple[str, int]:
    name, _, number = text.rpartition(":")
    if not name or not number.isdigit():
        raise InvalidInputError(f"breakpoint {text!r}: expected FILE:LINE")
    for folder in source_folders(project):
        file = (folder / name).resolve()
        if file.is_file():
            return str(file), int(number)
    raise InvalidInputError(f"breakpoint {text!r}: {project.root} has no source file {name}")


def _attach(debugger: pdb.Pdb, frame: FrameType) -> None:
    """Have the debugger see `frame` and its callers, as `Pdb.set_trace` does, without stopping."""
    debugger.reset()
    outer: FrameType | None = frame
    while outer is not None:
        outer.f_trace = debugger.trace_dispatch
        debugger.botframe = outer
        outer = outer.f_back


def _flow_frame(project: CordappProject) -> FrameType | None:
    """The innermost frame of the CorDapp's own code."""
    folders = [str(folder.resolve()) for folder in source_folders(project)]
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # the only way to a caller
    while frame is not None:
        if any(frame.f_code.co_filename.startswith(folder) for folder in folders):
            return frame
        frame = frame.f_back
    return None
