"""Move a node to another host: what is asked depends on where it is.

Its file is carried by the command line, since it may be longer than any form takes.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from host.console.forms import Field, Form, Question
from host.console.questions import Done, Result, answered, asked, kept
from host.console.view import View, one, text
from host.console.words import open_flows
from host.domain.json import JsonObject
from host.domain.wording import size
from host.rest.gate import Answer

MOVED, BACK = "It works elsewhere: erase what is left here", "Take it back"
_STAYS = ("Nothing can be done here now.",)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ask:
    """What can be done with a node that is at a place. `is_typed`: its hash has to be typed."""

    title: str
    says: Sequence[str]
    button: str
    fields: Callable[[], Sequence[Field]] = tuple
    is_typed: bool = False


def _of_source() -> Sequence[Field]:
    return (
        Field(
            name="recipient",
            label="Key of the new host",
            hint="`recipient` of GET /maintenance/transferkey there: age1…",
            required=True,
        ),
    )


def _of_exported() -> Sequence[Field]:
    return (
        Field(name="what", label="Do", kind="select", options=(BACK, MOVED)),
        Field(
            name="proof",
            label="Proof",
            kind="textarea",
            hint="To erase: `proof` of GET /maintenance/virtualnode/…/location at its new place.",
        ),
        Field(
            name="pre_auth", label="Pre-auth token", hint="To take it back, in a dynamic network."
        ),
    )


def _of_imported() -> Sequence[Field]:
    return (
        Field(
            name="endpoints",
            label="Endpoints of this host's gateway",
            kind="textarea",
            hint="One URL a line.",
        ),
        Field(name="tls_alias", label="Alias of its TLS certificate"),
        Field(
            name="pre_auth", label="Pre-auth token", hint="Without one the MGM's operators approve."
        ),
    )


_ASKS: Mapping[str, _Ask] = {
    "HERE": _Ask(
        title="Move",
        says=(
            "It stands still for good at once, and its file is written, for the new host alone.",
            "Messages of its peers are held, and do not age.",
            "It can be taken back until it works elsewhere. To stop it for a while, pause it.",
        ),
        button="Write the file of 1 node",
        fields=_of_source,
        is_typed=True,
    ),
    "EXPORTED": _Ask(
        title="The move of",
        says=("It stands still here, until it works elsewhere or is taken back.",),
        button="Go on",
        fields=_of_exported,
        is_typed=True,
    ),
    "IMPORTED": _Ask(
        title="The move of",
        says=("It is loaded and checked, and does nothing yet.",),
        button="Let it work here",
        fields=_of_imported,
    ),
}


async def move_question(view: View) -> Question:
    """What can be done with the node where it is; with the transfer that the query names."""
    node = view.path("node")
    found = one(await view.get("maintenance", "virtualnode", node, "location"))
    place = text(found, "place")
    ask = _ASKS.get(place, _Ask(title="The move of", says=_STAYS, button="Look again"))
    usage = one(await view.get("virtualnode", node, "usage"))
    reason = text(found, "errorReason")
    return Question(
        title=f"{ask.title} {node}",
        says=[
            f"It is {place or 'unknown'}. {open_flows(usage)}; what is open goes with it.",
            *([f"A claim was refused: {reason}"] if reason else ()),
            *ask.says,
            *await _transfer(view),
        ],
        button=ask.button,
        back=f"/console/nodes/{node}",
        fields=(
            Field(name="place", kind="hidden", value=place),
            *ask.fields(),
            *(
                (Field(name="typed", label=f"Type {node} to confirm", required=True),)
                if ask.is_typed
                else ()
            ),
        ),
        is_risk=ask.is_typed,
    )


async def move_node(view: View, form: Form) -> Result:
    """The step that was asked for. If the node is elsewhere by now, it is asked again."""
    node = view.path("node")
    fresh = await move_question(view)
    question = kept(fresh, form)
    place = form.text("place")
    if place != fresh.fields[0].value:
        problem = "The node's place has changed since it was asked."
        return asked(view, replace(fresh, problem=problem), status=409)
    if question.is_risk and form.text("typed").strip().upper() != node.upper():
        problem = "What was typed is not the node's short hash."
        return asked(view, replace(question, problem=problem), status=400)
    here = f"/console/nodes/{node}/move"
    if place == "HERE":
        answer = await _ask(view, node, "export", {"recipient": form.text("recipient").strip()})
        transfer = quote(text(one(answer), "requestId"))
        began = Done(page=f"{here}?transfer={transfer}", flash="exporting")
        return answered(view, answer, question, began)
    if place not in _ENDS:
        return asked(view, fresh)
    answer = await _ENDS[place](view, node, form)
    return answered(view, answer, question, Done(page=here, flash="place"))


async def _arrive(view: View, node: str, form: Form) -> Answer:
    body: JsonObject = {
        "endpoints": form.text("endpoints").split(),
        "p2pTlsCertificateChainAlias": form.text("tls_alias") or None,
        "preAuthToken": form.text("pre_auth") or None,
    }
    return await _ask(view, node, "activate", body)


async def _end(view: View, node: str, form: Form) -> Answer:
    if form.text("what") == MOVED:
        return await _ask(view, node, "moved", {"proof": form.text("proof").strip()})
    token = form.text("pre_auth") or None
    return await _ask(view, node, "export/cancel", {"preAuthToken": token})


_ENDS: Mapping[str, Callable[[View, str, Form], Awaitable[Answer]]] = {
    "EXPORTED": _end,
    "IMPORTED": _arrive,
}


async def _ask(view: View, node: str, step: str, body: JsonObject) -> Answer:
    path = ("maintenance", "virtualnode", node, *step.split("/"))
    return await view.call("POST", path, body=body)


async def _transfer(view: View) -> Sequence[str]:
    """How far the transfer is that the page's query names, and who carries its file."""
    request = view.query("transfer", most=36)
    if not request:
        return ()
    found = one(await view.get("maintenance", "transfer", request))
    done, total = ((found or {}).get(name) for name in ("bytesDone", "bytesTotal"))
    line = f"Transfer {request}: {text(found, 'status') or 'unknown'}, {text(found, 'stage')}"
    if isinstance(done, int) and isinstance(total, int) and total:
        line += f", {size(done)} of {size(total)}"
    error = text(found, "errorReason")
    return [
        line,
        *([error] if error else ()),
        "Its file is fetched with GET /maintenance/transfer/…/file and imported at the new host.",
        "`cordbox vnode move` does all of this, and carries the file.",
    ]
