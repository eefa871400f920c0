"""A conversation as one HTML page that needs nothing else: no script, font or image."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import resources

from host.flow.recording import Recording, Step
from host.toolkit.flows.call_text import call_text, short_class
from host.toolkit.flows.conversation import Conversation, Lane
from host.toolkit.flows.timeline_drawing import drawing_of, html_text
from host.toolkit.flows.timeline_text import elapsed

_SECURITY = "default-src 'none'; style-src 'unsafe-inline'"
_TEXT_MAX = 300
_COLOURS = {"COMPLETED": "good", "FAILED": "bad", "KILLED": "bad"}


def timeline_page(conversation: Conversation) -> str:
    """The whole page."""
    style = resources.files(__package__).joinpath("timeline.css").read_text(encoding="utf-8")
    first = conversation.lanes[0].recording
    title = f"{short_class(first.flow.flow_class)} of {conversation.lanes[0].node}"
    lanes = "".join(_lane(lane, conversation.begun_at) for lane in conversation.lanes)
    body = (
        f"{_header(conversation, first, title)}"
        f'<section class="card"><div class="scroll">{drawing_of(conversation)}</div></section>'
        f'<div class="lanes">{lanes}</div>{_footer()}'
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_SECURITY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html_text(title)}</title><style>{style}</style></head>\n"
        f"<body><main>{body}</main></body></html>\n"
    )


def _header(conversation: Conversation, first: Recording, title: str) -> str:
    ended = max((lane.recording.flow.ended_at or 0 for lane in conversation.lanes), default=0)
    begun = datetime.fromtimestamp(conversation.begun_at / 1000, tz=UTC)
    status = first.outcome.status.value
    words = [
        (status.lower(), _COLOURS.get(status, "run")),
        (f"{len(conversation.lanes)} flow{'s' if len(conversation.lanes) > 1 else ''}", ""),
        (f"{sum(lane.recording.step_count for lane in conversation.lanes)} host calls", ""),
    ]
    if ended:
        words.append((f"{(ended - conversation.begun_at) / 1000:.3f} s", ""))
    badges = "".join(f'<li class="badge {look}">{html_text(text)}</li>' for text, look in words)
    return (
        f'<header><p class="eyebrow">Flow · {begun:%Y-%m-%d %H:%M:%S} UTC</p>'
        f"<h1>{html_text(title)}</h1>"
        f'<p class="sub"><code>{html_text(first.flow.flow_class)}</code> · client request'
        f" <code>{html_text(first.flow.request_id)}</code></p>"
        f'<ul class="badges">{badges}</ul></header>'
    )


def _lane(lane: Lane, begun_at: int) -> str:
    recording, outcome = lane.recording, lane.recording.outcome
    cpi = recording.cpi
    package = f"{cpi.name} {cpi.version}" if cpi.name else cpi.file_checksum
    facts = [
        ("Member", recording.node.name),
        ("Virtual node", recording.node.short_hash),
        ("Flow", recording.flow.id),
        ("Package", package),
        ("Status", outcome.status.value),
    ]
    if outcome.result:
        facts.append(("Result", _cut(outcome.result)))
    rows = "".join(f"<dt>{html_text(k)}</dt><dd>{html_text(v)}</dd>" for k, v in facts)
    problem = _problem(recording)
    return (
        f'<section class="card"><h2>{html_text(lane.node)}</h2>'
        f'<p class="sub"><code>{html_text(recording.flow.flow_class)}</code></p>'
        f'<dl class="facts">{rows}</dl>{problem}{_steps(recording.steps, begun_at)}</section>'
    )


def _problem(recording: Recording) -> str:
    outcome = recording.outcome
    if outcome.error_message is None:
        return ""
    lines = (f"{outcome.error_type}: {outcome.error_message}", *outcome.trace)
    return f'<p class="problem">{"<br>".join(html_text(line) for line in lines)}</p>'


def _steps(steps: Sequence[Step], begun_at: int) -> str:
    if not steps:
        return ""
    rows = "".join(_step(step, begun_at) for step in steps)
    head = "<tr><th>Step</th><th>Call</th><th>At</th><th>Took</th><th>Answer</th></tr>"
    return (
        f"<details><summary>{len(steps)} host calls</summary>"
        f'<div class="scroll"><table>{head}{rows}</table></div></details>'
    )


def _step(step: Step, begun_at: int) -> str:
    answer = _cut(step.answer) if step.answer is not None else f"{step.answer_size} characters"
    call = call_text(step.function, step.request)
    return (
        f'<tr><td class="n">{step.number}</td>'
        f'<td title="{html_text(step.request)}">{html_text(call)}</td>'
        f'<td class="n">{elapsed(max(0, step.since - begun_at))}</td>'
        f'<td class="n">{step.at - step.since} ms</td>'
        f"<td><code>{html_text(answer)}</code></td></tr>"
    )


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT_MAX else f"{text[:_TEXT_MAX]}…"


def _footer() -> str:
    return (
        "<footer>Drawn by <code>cordbox flow show</code> from the journals of the flows.</footer>"
    )
