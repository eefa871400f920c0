"""Change a section of settings, on the version that was looked at."""

import json
from dataclasses import replace
from urllib.parse import quote

from host.console.forms import Field, Form, Question
from host.console.questions import Done, Result, answered, asked, kept
from host.console.undo import Undo
from host.console.view import View, one, text


async def setting_question(view: View) -> Question:
    """The stored values as JSON: what they leave out has its default."""
    name = view.path("name")
    found = one(await view.get("config", name))
    version = 0 if found is None else found.get("version", 0)
    return Question(
        title=f"Change {name}",
        says=[
            f"Version {version}. Keys that are left out get their defaults.",
            "A secret is not shown: give it again, as `cordbox secret-config create` prints it.",
        ],
        button="Change settings",
        back=f"/console/settings/{quote(name, safe='')}",
        fields=(
            Field(name="version", kind="hidden", value=str(version)),
            Field(
                name="config",
                label="Stored values, JSON",
                kind="textarea",
                value=text(found, "sourceConfig") or "{}",
            ),
        ),
    )


async def change_setting(view: View, form: Form) -> Result:
    """Refused if the section has another version by now."""
    name = view.path("name")
    question = await setting_question(view)
    before = question.fields[1].value
    answered_as = kept(question, form)
    try:
        config = json.loads(form.text("config"))
        version = int(form.text("version"))
    except ValueError as error:
        problem = f"The values are no JSON: {error}"
        return asked(view, replace(answered_as, problem=problem), status=400)
    body = {
        "section": name,
        "version": version,
        "config": config,
        "schemaVersion": {"major": 1, "minor": 0},
    }
    answer = await view.call("PUT", ("config",), body=body)
    following = one(answer)
    undo = None
    if following is not None and "configSecret" not in before:
        fields = {"version": str(following.get("version")), "config": before}
        undo = Undo(path=view.here, fields=fields)
    done = Done(page=question.back, flash="settings", undo=undo)
    return answered(view, answer, answered_as, done)
