"""A conversation as one self-contained HTML page without scripts."""

from collections.abc import Iterator
from datetime import UTC, datetime

from host.flow.records.history_export import Recording, Step
from host.tools.flows.call_text import call_text, short_class
from host.tools.flows.conversation import Conversation, Lane
from host.tools.flows.timeline_drawing import drawing_of
from host.tools.flows.timeline_text import elapsed
from host.tools.html_pages import render

_TEXT_MAX = 300
_COLOURS = {"COMPLETED": "good", "FAILED": "bad", "KILLED": "bad"}


def timeline_page(conversation: Conversation) -> str:
    """The whole page."""
    first = conversation.lanes[0].recording
    begun = datetime.fromtimestamp(conversation.begun_at / 1000, tz=UTC)
    return render(
        __package__,
        "timeline.html.jinja",
        title=f"{short_class(first.flow.flow_class)} of {conversation.lanes[0].node}",
        begun=f"{begun:%Y-%m-%d %H:%M:%S}",
        flow=first.flow,
        badges=list(_badges(conversation, first)),
        drawing=drawing_of(conversation),
        lanes=[
            {
                "node": lane.node,
                "flow_class": lane.recording.flow.flow_class,
                "facts": list(_facts(lane)),
                "problem": _problem(lane.recording),
                "steps": [_step(s, conversation.begun_at) for s in lane.recording.steps],
            }
            for lane in conversation.lanes
        ],
    )


def _badges(conversation: Conversation, first: Recording) -> Iterator[tuple[str, str]]:
    """Facts about the whole with their colours."""
    status = first.outcome.status.value
    yield status.lower(), _COLOURS.get(status, "run")
    yield f"{len(conversation.lanes)} flow{'s' if len(conversation.lanes) > 1 else ''}", ""
    yield f"{sum(lane.recording.step_count for lane in conversation.lanes)} host calls", ""
    ended = max((lane.recording.flow.ended_at or 0 for lane in conversation.lanes), default=0)
    if ended:
        yield f"{(ended - conversation.begun_at) / 1000:.3f} s", ""


def _facts(lane: Lane) -> Iterator[tuple[str, str]]:
    recording, outcome = lane.recording, lane.recording.outcome
    cpi = recording.cpi
    yield "Member", recording.node.name
    yield "Virtual node", recording.node.short_hash
    yield "Flow", recording.flow.id
    yield "Package", f"{cpi.name} {cpi.version}" if cpi.name else cpi.file_checksum
    yield "Status", outcome.status.value
    if outcome.result:
        yield "Result", _cut(outcome.result)


def _problem(recording: Recording) -> tuple[str, ...]:
    outcome = recording.outcome
    if outcome.error_message is None:
        return ()
    code = outcome.error_code or outcome.error_type
    return (f"{code}: {outcome.error_message}", *outcome.trace)


def _step(step: Step, begun_at: int) -> dict[str, object]:
    return {
        "number": step.number,
        "request": step.request,
        "call": call_text(step.function, step.request),
        "at": elapsed(max(0, step.since - begun_at)),
        "took": step.at - step.since,
        "answer": f"{step.answer_size} characters" if step.answer is None else _cut(step.answer),
    }


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT_MAX else f"{text[:_TEXT_MAX]}…"
