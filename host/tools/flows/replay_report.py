"""A replay as text and as JSON: each step with its source line, and the divergence."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from host.domain.printable import printable
from host.guests.replay.answers import Divergence
from host.guests.replay.run import Place, Replay, ReplayedStep
from host.tools.flows.call_text import call_text

_TEXT_MAX = 500
_CONTEXT = 20


def step_lines(
    step: ReplayedStep, sources: Mapping[str, str], *, with_values: bool = False
) -> list[str]:
    """A step as lines: what was called, from where, the request and the answer."""
    lines = [f"      log  {printable(text)}" for text in step.log]
    lines.append(f"{step.number:>5}  {call_text(step.function, step.request)}")
    lines += _place_lines(step.places, sources)
    if with_values:
        lines += [f"      {name} = {printable(shown)}" for name, shown in step.values.items()]
    lines.append(f"      > {step.function} {_cut(step.request)}")
    lines.append(f"      < {'error ' if step.is_error else ''}{_cut(step.answer)}")
    return lines


def end_lines(replay: Replay, sources: Mapping[str, str]) -> list[str]:
    """How the replay ended, and its divergence."""
    lines = [f"      log  {printable(text)}" for text in replay.log]
    divergence = replay.divergence
    if divergence is None:
        return [*lines, f"{len(replay.steps)} steps as recorded; {printable(replay.ended)}"]
    lines.append(f"DIVERGES at step {divergence.step}")
    lines += _place_lines(replay.places, sources)
    lines += [
        f"      - expected {printable(divergence.expected)}",
        f"      + actual   {printable(divergence.actual)}",
    ]
    if divergence.expected_request or divergence.actual_request:
        left, right = _around_difference(divergence)
        lines += [f"      - request  {left}", f"      + request  {right}"]
    return lines


def replay_json(replay: Replay, *, flow: str, code: str, is_recorded_code: bool | None) -> str:
    """The whole replay; `isRecordedCode` is null if it is not known."""
    divergence = replay.divergence
    document = {
        "flowId": flow,
        "code": code,
        "isRecordedCode": is_recorded_code,
        "asRecorded": divergence is None,
        "ended": replay.ended,
        "steps": [_step(step) for step in replay.steps],
        "divergence": None if divergence is None else _divergence(divergence, replay.places),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _place_lines(places: Sequence[Place], sources: Mapping[str, str]) -> list[str]:
    if not places:
        return ["      at unknown: this code does not say"]
    here = places[0]
    callers = " < ".join(f"{p.file}:{p.line}" for p in places[1:4])
    line = f"      at {here.file}:{here.line} {here.function}"
    shown = [f"{line} < {callers}" if callers else line]
    text = _source_line(sources, here)
    return [*shown, f"         {text}"] if text else shown


def _source_line(sources: Mapping[str, str], place: Place) -> str:
    lines = sources.get(place.file, "").splitlines()
    return printable(lines[place.line - 1].strip()) if 0 < place.line <= len(lines) else ""


def _cut(text: str) -> str:
    shown = text if len(text) <= _TEXT_MAX else f"{text[:_TEXT_MAX]}… ({len(text)} characters)"
    return printable(shown)


def _around_difference(divergence: Divergence) -> tuple[str, str]:
    """Both requests, starting shortly before their first difference."""
    left, right = divergence.expected_request, divergence.actual_request
    same = next(
        (i for i, pair in enumerate(zip(left, right, strict=False)) if pair[0] != pair[1]),
        min(len(left), len(right)),
    )
    start = max(0, same - _CONTEXT)
    before = "…" if start else ""
    return tuple(_cut(before + text[start:]) or "(none)" for text in (left, right))  # type: ignore[return-value]


def _step(step: ReplayedStep) -> dict[str, Any]:
    return {
        "number": step.number,
        "function": step.function,
        "places": _places(step.places),
        "request": step.request,
        "answer": step.answer,
        "isError": step.is_error,
        "values": dict(step.values),
        "log": list(step.log),
    }


def _divergence(divergence: Divergence, places: Sequence[Place]) -> dict[str, Any]:
    return {
        "step": divergence.step,
        "places": _places(places),
        "expected": divergence.expected,
        "actual": divergence.actual,
        "expectedRequestBeginning": divergence.expected_request,
        "actualRequest": divergence.actual_request,
    }


def _places(places: Sequence[Place]) -> list[dict[str, Any]]:
    return [{"file": p.file, "line": p.line, "function": p.function} for p in places]
