"""Pause, resume, upgrade and set quotas of several nodes at once."""

from collections.abc import Mapping

from host.console.chosen import for_each, listed, outcome
from host.console.forms import Field, Form, Question
from host.console.node_quota import numbers, overrides_of
from host.console.node_upgrades import upgrade_chosen
from host.console.questions import Done, Result, asked
from host.console.view import View, one
from host.rest.gate import Answer

NODES = "/console/nodes"
_STATES = {"pause": "PAUSED", "resume": "ACTIVE"}
_DONE: Mapping[str, Done] = {
    "pause": Done(page=NODES, flash="paused-many"),
    "resume": Done(page=NODES, flash="active-many"),
    "quota": Done(page=NODES, flash="quota-many"),
    "upgrade": Done(page=NODES, flash="upgrading-many"),
}


async def change_chosen(view: View, form: Form) -> Result:
    """Pausing and resuming are done at once: each undoes the other. The others are asked for."""
    act = form.text("act")
    done = _DONE.get(act)
    if done is None or not form.picked:
        return outcome(view, 0, (), Done(page=NODES, flash=""))
    if act == "quota":
        return await _set_quotas(view, form, done)
    if act == "upgrade":
        return await upgrade_chosen(view, form, done)
    state = _STATES[act]
    return await for_each(
        view,
        form.picked,
        lambda node: view.call("PUT", ("virtualnode", node, "state", state)),
        done,
    )


async def _set_quotas(view: View, form: Form, done: Done) -> Result:
    given = overrides_of(form)
    if given is None:
        return asked(view, await _question(view, form, problem="A quota is a whole number."))
    if not given:
        return asked(view, await _question(view, form))

    async def add_to(node: str) -> Answer:
        before = await view.get("virtualnode", node, "quota")
        if not before.is_ok:
            return before
        kept = {**numbers(one(before), "overrides"), **given}
        return await view.call("PUT", ("virtualnode", node, "quota"), body={"overrides": kept})

    return await for_each(view, form.picked, add_to, done)


async def _question(view: View, form: Form, *, problem: str = "") -> Question:
    first = one(await view.get("virtualnode", form.picked[0], "quota"))
    count = len(form.picked)
    nodes = "node" if count == 1 else "nodes"
    return Question(
        title=f"Set quotas of {count} {nodes}",
        says=[
            "What is filled in is set at each of them; what is empty stays as it is there.",
            listed(form.picked),
        ],
        button=f"Set quotas of {count} {nodes}",
        back=NODES,
        problem=problem,
        fields=(
            Field(name="act", kind="hidden", value="quota"),
            *(Field(name="pick", kind="hidden", value=node) for node in form.picked),
            *(
                Field(name=f"quota-{name}", label=name, kind="number", hint=f"Default {value:,}")
                for name, value in numbers(first, "defaults").items()
            ),
        ),
    )
