"""Kill several flows at once: their number is asked, and has to be typed."""

from collections.abc import Awaitable

from host.console.chosen import for_each
from host.console.forms import Field, Form, Question
from host.console.questions import Done, Result, asked
from host.console.view import View
from host.rest.gate import Answer

FLOWS = "/console/flows"
_NAMED_MAX = 10


async def kill_chosen(view: View, form: Form) -> Result:
    """Asks first; done once the number was typed."""
    typed = form.text("typed").strip()
    question = _question(form)
    if not form.picked or not typed:
        return asked(view, question)
    if typed != str(len(form.picked)):
        problem = f"What was typed is not {len(form.picked)}."
        return asked(view, _question(form, problem=problem), status=400)
    reason = form.text("reason")[:1000] or None

    def kill(place: str) -> Awaitable[Answer]:
        node, _, request_id = place.partition("/")
        return view.call("POST", ("flow", node, request_id, "kill"), query={"reason": reason})

    return await for_each(view, form.picked, kill, Done(page=FLOWS, flash="killed-many"))


def _question(form: Form, *, problem: str = "") -> Question:
    count = len(form.picked)
    flows = "flow" if count == 1 else "flows"
    more = [f"and {count - _NAMED_MAX} more"] if count > _NAMED_MAX else []
    says = [
        "They end in status KILLED; counterparties with an open session fail in their next call.",
        "What they have committed stays. It cannot be taken back.",
        *form.picked[:_NAMED_MAX],
        *more,
    ]
    return Question(
        title=f"Kill {count} {flows}",
        says=says if count else ["No flow was chosen."],
        button=f"Kill {count} {flows}",
        back=FLOWS,
        fields=(
            *(Field(name="pick", kind="hidden", value=place) for place in form.picked),
            Field(name="reason", label="Reason", hint="Stands in the flows' error."),
            Field(name="typed", label=f"Type {count} to confirm", required=True),
        )
        if count
        else (),
        is_risk=True,
        problem=problem,
    )
