"""Settings: the sections, and one of them with what is stored and what is in force."""

import json
from collections.abc import Mapping

from host.console.view import Page, View, one, text
from host.domain.json import JsonValue
from host.settings.sections import SECTIONS


async def show(view: View) -> Page:
    return view.render("settings", section="settings", names=sorted(SECTIONS))


async def show_one(view: View) -> Page:
    name = view.path("name")
    answer = await view.get("config", name)
    found = one(answer)
    if found is None:
        return view.render("refused", http_status=answer.status, answer=answer, section="settings")
    stored = values_of(text(found, "sourceConfig"))
    return view.render(
        "setting",
        section="settings",
        name=name,
        version=found.get("version"),
        values=[
            (key, json.dumps(value, ensure_ascii=False), key in stored)
            for key, value in sorted(values_of(text(found, "configWithDefaults")).items())
        ],
        may_change=view.may("PUT", "/config"),
    )


def values_of(content: str) -> Mapping[str, JsonValue]:
    """The object that a section's text is; empty if it is none."""
    try:
        value = json.loads(content or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
