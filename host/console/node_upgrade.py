"""Upgrade a node to another version of its package: rehearsed first; its hash has to be typed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote

from host.console.forms import Field, Form, Question
from host.console.questions import Done, Result, answered, asked, kept
from host.console.view import View, items, one, text
from host.console.words import open_flows
from host.domain.json import JsonObject
from host.tools.network.upgrades import report_lines

REHEARSE, UPGRADE = "Rehearse: nothing changes", "Upgrade"
WAYS = {
    "its open flows go on with the new code": "migrate",
    "its open flows end with the old code": "finish",
    "it waits for its open flows": "drain",
    "its flows were ended by maintenance": "kill",
}
_LINES_MAX = 40


async def upgrade_question(view: View) -> Question:
    """Which version and how; with what a rehearsal has found, if one was made."""
    node = view.path("node")
    found, cpis, usage = await view.all(
        (("virtualnode", node), {}),
        (("cpi",), {"limit": 1000}),
        (("virtualnode", node, "usage"), {}),
    )
    options = versions_beside(one(found), items(cpis, "cpis"))
    says = [f"{open_flows(one(usage))}. A refused upgrade changes nothing."]
    if not options:
        says.append("No other version of its package is stored: upload one first.")
    return Question(
        title=f"Upgrade {node}",
        says=[*says, *await _rehearsed(view)],
        button="Go on",
        back=f"/console/nodes/{node}",
        fields=(
            Field(name="cpi", label="Version", kind="select", options=options, required=True),
            Field(name="way", label="While flows are open", kind="select", options=tuple(WAYS)),
            Field(name="what", label="Do", kind="select", options=(REHEARSE, UPGRADE)),
            Field(
                name="typed",
                label=f"Type {node} to upgrade",
                hint="A rehearsal needs nothing here.",
            ),
        ),
        is_risk=True,
    )


async def upgrade(view: View, form: Form) -> Result:
    """Both begin at once; a rehearsal leads back to the question with its report."""
    node = view.path("node")
    question = kept(await upgrade_question(view), form)
    path = ("virtualnode", node, "cpi", form.text("cpi").partition(" ")[0])
    if form.text("what") != UPGRADE:
        answer = await view.call("POST", (*path, "check"))
        rehearsal = quote(text(one(answer), "requestId"))
        page = f"/console/nodes/{node}/upgrade?rehearsal={rehearsal}"
        return answered(view, answer, question, Done(page=page, flash="rehearsing"))
    if form.text("typed").strip().upper() != node.upper():
        problem = "What was typed is not the node's short hash."
        return asked(view, replace(question, problem=problem), status=400)
    way = WAYS.get(form.text("way"), "drain")
    answer = await view.call("PUT", path, query={"flows": way})
    return answered(view, answer, question, Done(page=question.back, flash="upgrading"))


async def _rehearsed(view: View) -> Sequence[str]:
    """What the rehearsal that the page's query names has found."""
    request = view.query("rehearsal", most=36)
    if not request:
        return ()
    report = one(await view.get("virtualnode", "upgrade", request))
    status = text(report, "status") or "unknown"
    stage = text(report, "processingStage")
    head = f"Rehearsal: {status}" + (f", {stage}" if stage else "")
    error = text(report, "errorReason")
    found = None if report is None else report.get("report")
    lines = list(report_lines(found))[:_LINES_MAX] if isinstance(found, Mapping) else []
    return [head, *([error] if error else []), *lines]


def versions_beside(node: JsonObject | None, cpis: Sequence[JsonObject]) -> Sequence[str]:
    """The other versions of a node's package, as options."""
    own = None if node is None else node.get("cpiIdentifier")
    known = own if isinstance(own, Mapping) else {}
    options = []
    for cpi in cpis:
        found = cpi.get("id")
        identity = found if isinstance(found, Mapping) else {}
        is_own = identity.get("cpiVersion") == known.get("cpiVersion")
        if identity.get("cpiName") == known.get("cpiName") and not is_own:
            options.append(f"{text(cpi, 'cpiFileChecksum')} {identity.get('cpiVersion')}")
    return options
