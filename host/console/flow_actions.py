"""Start a flow, and kill one."""

import json
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

from host.console.forms import Field, Form, Question
from host.console.questions import Done, Result, answered, asked, kept
from host.console.view import View, one, text
from host.domain.json import JsonValue


def flow_page(node: str, request_id: str) -> str:
    """The page of a flow."""
    return f"/console/flows/{quote(node)}/{quote(request_id, safe='')}"


# Kill a flow


async def kill_question(view: View) -> Question:
    """What ends with a flow."""
    node, request_id = view.path("node"), view.path("request")
    stands = one(await view.get("flow", node, request_id, "standing"))
    peers = [] if stands is None else stands.get("peers", [])
    named = ", ".join(p for p in peers if isinstance(p, str)) if isinstance(peers, Sequence) else ""
    ends = f"It waits for {named} now, whose flow fails in its next call to this one."
    if not named:
        ends = "Counterparties with an open session fail in their next call to this flow."
    says = [
        f"Flow {request_id} of {text(stands, 'x500Name') or node} ends in status KILLED.",
        ends,
        "What it has committed stays; a transaction that a notary has signed is final.",
        "It cannot be taken back; the same request may be started under another request id.",
    ]
    return Question(
        title=f"Kill flow {request_id}",
        says=says,
        button="Kill 1 flow",
        back=flow_page(node, request_id),
        fields=(Field(name="reason", label="Reason", hint="Stands in the flow's error."),),
        is_risk=True,
    )


async def kill(view: View, form: Form) -> Result:
    node, request_id = view.path("node"), view.path("request")
    question = await kill_question(view)
    reason = form.text("reason")[:1000] or None
    answer = await view.call("POST", ("flow", node, request_id, "kill"), query={"reason": reason})
    return answered(view, answer, question, Done(page=question.back, flash="killed"))


# Start a flow


async def start_question(view: View) -> Question:
    """The form of a flow; its request id is made beforehand, so a double press starts one flow."""
    node = view.path("node")
    classes = one(await view.get("flowclass", node))
    names = [] if classes is None else classes.get("flowClassNames", [])
    options = [n for n in names if isinstance(n, str)] if isinstance(names, Sequence) else []
    return Question(
        title="Start a flow",
        says=[] if options else ["The node's package has no flow that a client can start."],
        button="Start 1 flow",
        back=f"/console/nodes/{node}",
        fields=(
            Field(name="flow_class", label="Flow", kind="select", options=options, required=True),
            Field(
                name="request_id",
                label="Client request id",
                value=f"console-{view.visitor.user.login_name[:40]}-{view.now}",
                hint="Names this start; the same id starts nothing twice.",
                required=True,
            ),
            Field(name="body", label="Argument, JSON", kind="textarea", value="{}"),
        ),
    )


async def start(view: View, form: Form) -> Result:
    node, request_id = view.path("node"), form.text("request_id").strip()
    question = kept(await start_question(view), form)
    try:
        body: JsonValue = json.loads(form.text("body") or "null")
    except ValueError as error:
        problem = f"The argument is no JSON: {error}"
        return asked(view, replace(question, problem=problem), status=400)
    answer = await view.call(
        "POST",
        ("flow", node),
        body={
            "startFlow": {
                "clientRequestId": request_id,
                "flowClassName": form.text("flow_class"),
                "requestBody": body,
            }
        },
    )
    return answered(view, answer, question, Done(page=flow_page(node, request_id), flash="started"))
