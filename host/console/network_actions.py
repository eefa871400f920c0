"""Ping a member, decide on a registration, ask a notary."""

from urllib.parse import quote

from starlette.exceptions import HTTPException

from host.console.forms import Field, Form, Question
from host.console.questions import Done, Result, answered
from host.console.view import View

# Networks and the ledger


async def ping(view: View, form: Form) -> Result:
    """No question: nothing changes."""
    node = view.path("node")
    question = Question(title="Ping a member", button="Ping", back=f"/console/networks/{node}")
    body = {"pingRequest": {"x500Name": form.text("x500_name")}}
    answer = await view.call("POST", ("network", node, "ping"), body=body)
    return answered(view, answer, question, Done(page=question.back, flash="pong"))


async def decide_question(view: View) -> Question:
    """Whether a registration is approved."""
    node, request_id, verdict = view.path("node"), view.path("request"), view.path("verdict")
    if verdict not in ("approve", "decline"):
        raise HTTPException(404)
    fields = (
        (Field(name="reason", label="Reason", hint="Is told to the member.", required=True),)
        if verdict == "decline"
        else ()
    )
    return Question(
        title=f"{verdict.capitalize()} registration {request_id}",
        says=["The member sees the network, and is seen in it, as soon as it has the new list."]
        if verdict == "approve"
        else ["The member may ask again."],
        button=f"{verdict.capitalize()} 1 registration",
        back=f"/console/networks/{node}",
        fields=fields,
        is_risk=verdict == "decline",
    )


async def decide(view: View, form: Form) -> Result:
    node, request_id, verdict = view.path("node"), view.path("request"), view.path("verdict")
    question = await decide_question(view)
    body = (
        {"manualDeclinationReason": {"reason": form.text("reason")}}
        if verdict == "decline"
        else None
    )
    answer = await view.call("POST", ("mgm", node, verdict, request_id), body=body)
    return answered(view, answer, question, Done(page=question.back, flash=verdict))


async def repair(view: View, form: Form) -> Result:
    """No question: the node would do it by itself, later."""
    del form
    node, transaction = view.path("node"), view.path("transaction")
    back = f"/console/ledger/{node}/{quote(transaction)}"
    question = Question(title="Ask the notary now", button="Ask the notary", back=back)
    answer = await view.call("POST", ("ledger", node, "transaction", transaction, "repair"))
    return answered(view, answer, question, Done(page=back, flash="repair"))
