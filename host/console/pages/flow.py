"""One flow: where it stands, then what happened on all sides that this host sees."""

from collections.abc import Sequence

from host.console.view import Page, View, one, text
from host.domain.errors import HostError
from host.domain.ids import HoldingIdentity
from host.domain.x500 import MemberX500Name
from host.flow.records.history_export import Recording, parse_recording
from host.rest.gate import Answer
from host.tools.flows.conversation import Conversation, conversation_of
from host.tools.flows.timeline_drawing import Drawing, drawing_of
from host.tools.html_pages import environment

LANES_MAX = 6
STEPS_MAX = 200
"""Steps of each side that are drawn; more are behind the command that the page ends with."""
_LOOKS = {
    "completed": "good",
    "failed": "bad",
    "killed": "bad",
    "waits-for-peer": "out",
}


async def show(view: View) -> Page:
    node, request_id = view.path("node"), view.path("request")
    stands, result = await view.all(
        (("flow", node, request_id, "standing"), {}), (("flow", node, request_id), {})
    )
    if not stands.is_ok:
        return view.render("refused", http_status=stands.status, answer=stands, section="flows")
    recordings, refused = await _recordings(view, node, request_id)
    standing = one(stands)
    conversation = conversation_of(recordings) if recordings else None
    with_result = view.query("result") == "true"
    is_open = text(standing, "flowStatus") in ("RUNNING", "START_REQUESTED")
    return view.render(
        "flow",
        section="flows",
        node=node,
        request_id=request_id,
        standing=standing,
        look=_LOOKS.get(text(standing, "kind"), ""),
        history=refused,
        conversation=conversation,
        timeline=None if conversation is None else _svg(conversation),
        steps=_steps(recordings),
        sides=len(recordings),
        result=result if with_result else None,
        is_open=is_open,
        may_kill=is_open
        and view.may("POST", "/flow/{node}/{request}/kill", node=node, request=request_id),
        may_see_result=view.may("GET", "/flow/{node}/{request}", node=node, request=request_id),
    )


async def _recordings(
    view: View, node: str, request_id: str
) -> tuple[list[Recording], Answer | None]:
    found: list[Recording] = []
    seen, waiting = {(node, request_id)}, [(node, request_id)]
    refused = None
    while waiting and len(found) < LANES_MAX:
        here, request = waiting.pop(0)
        answer = await view.get("flow", here, request, "history", limit=STEPS_MAX)
        if not answer.is_ok:
            refused = refused or (None if found else answer)
            continue
        recording = parse_recording(answer.body, "the history")
        found.append(recording)
        for place in _responders(recording):
            if place not in seen:
                seen.add(place)
                waiting.append(place)
    return found, refused


def _responders(recording: Recording) -> Sequence[tuple[str, str]]:
    """The places of the flows that this one's sessions started, if they are here."""
    places = []
    for session in recording.sessions:
        if session.is_initiator:
            try:
                name = MemberX500Name.parse(session.peer)
            except HostError:
                continue
            peer = HoldingIdentity(x500_name=name, group_id=recording.node.group_id)
            places.append((peer.short_hash, session.peer_session))
    return places


def _svg(conversation: Conversation) -> str:
    drawing: Drawing = drawing_of(conversation)
    template = environment("host.tools.flows").get_template("timeline.svg.jinja")
    return template.render(drawing=drawing)


def _steps(recordings: Sequence[Recording]) -> Sequence[tuple[str, Recording]]:
    return [(recording.node.name, recording) for recording in recordings]
