"""The quota of one node: its form, and what is sent with it."""

import json
from collections.abc import Mapping
from dataclasses import replace

from host.console.forms import Field, Form, Question
from host.console.questions import Done, Result, answered, asked, kept
from host.console.undo import Undo
from host.console.view import View, one
from host.domain.json import JsonObject

_PREFIX = "quota-"


async def quota_question(view: View) -> Question:
    """A field for each quota: empty for the host's default."""
    node = view.path("node")
    found = one(await view.get("virtualnode", node, "quota"))
    defaults, overrides = numbers(found, "defaults"), numbers(found, "overrides")
    return Question(
        title="Set the quota",
        says=["Runs that begin a second later are bound by it. An empty field has the default."],
        button="Set quota",
        back=f"/console/nodes/{node}",
        fields=(
            Field(name="seen", kind="hidden", value=_as_text(overrides)),
            *(
                Field(
                    name=f"{_PREFIX}{name}",
                    label=name,
                    kind="number",
                    value=str(overrides.get(name, "")),
                    hint=f"Default {default:,}",
                )
                for name, default in defaults.items()
            ),
        ),
    )


async def quota(view: View, form: Form) -> Result:
    """Refused if the quota was changed since the form was opened."""
    node = view.path("node")
    question = await quota_question(view)
    seen = question.fields[0].value
    if form.text("seen") != seen:
        problem = "The quota was changed since this form was opened: below are the new values."
        return asked(view, replace(question, problem=problem), status=409)
    overrides = overrides_of(form)
    if overrides is None:
        problem = "A quota is a whole number."
        return asked(view, replace(kept(question, form), problem=problem), status=400)
    answer = await view.call("PUT", ("virtualnode", node, "quota"), body={"overrides": overrides})
    before = {f"{_PREFIX}{name}": str(value) for name, value in json.loads(seen).items()}
    undo = Undo(path=view.here, fields={"seen": _as_text(overrides), **before})
    done = Done(page=question.back, flash="quota", undo=undo)
    return answered(view, answer, kept(question, form), done)


def overrides_of(form: Form) -> Mapping[str, int] | None:
    """The quotas that were filled in; None if one is no whole number."""
    try:
        return {
            name.removeprefix(_PREFIX): int(value)
            for name, value in form.texts.items()
            if name.startswith(_PREFIX) and value.strip()
        }
    except ValueError:
        return None


def numbers(found: JsonObject | None, name: str) -> Mapping[str, int]:
    """The whole numbers of a member that is an object."""
    values = None if found is None else found.get(name)
    if not isinstance(values, Mapping):
        return {}
    return {key: value for key, value in values.items() if isinstance(value, int)}


def _as_text(values: Mapping[str, int]) -> str:
    return json.dumps(dict(values), sort_keys=True)
