"""Upgrade several nodes of one package at once: their number is asked, and has to be typed."""

from collections.abc import Awaitable, Mapping, Sequence

from host.console.chosen import for_each, listed
from host.console.forms import Field, Form, Question
from host.console.node_upgrade import WAYS, versions_beside
from host.console.questions import Done, Result, asked
from host.console.view import View, items, one
from host.domain.json import JsonObject
from host.rest.gate import Answer


async def upgrade_chosen(view: View, form: Form, done: Done) -> Result:
    """Asks first; all begin once their number was typed. Each is done or refused by itself."""
    typed = form.text("typed").strip()
    if not typed:
        return asked(view, await _question(view, form, done.page))
    if typed != str(len(form.picked)):
        problem = f"What was typed is not {len(form.picked)}."
        return asked(view, await _question(view, form, done.page, problem=problem), status=400)
    checksum = form.text("cpi").partition(" ")[0]
    way = WAYS.get(form.text("way"), "drain")

    def upgrade(node: str) -> Awaitable[Answer]:
        return view.call("PUT", ("virtualnode", node, "cpi", checksum), query={"flows": way})

    return await for_each(view, form.picked, upgrade, done)


async def _question(view: View, form: Form, back: str, *, problem: str = "") -> Question:
    nodes = [one(await view.get("virtualnode", node)) for node in form.picked]
    cpis = items(await view.get("cpi", limit=1000), "cpis")
    packages = sorted({_package(node) for node in nodes})
    options = _options(nodes, cpis) if len(packages) == 1 else ()
    count = len(form.picked)
    title = f"Upgrade {count} {'node' if count == 1 else 'nodes'}"
    says = [
        "Each is upgraded or refused by itself; a refused upgrade changes nothing.",
        "Rehearse it at one of them first, on the node's page.",
        listed(form.picked),
    ]
    if len(packages) > 1:
        says.append(f"They run different packages: {', '.join(packages)}. Choose nodes of one.")
    elif not options:
        says.append("No other version of their package is stored: upload one first.")
    return Question(
        title=title,
        says=says,
        button=title,
        back=back,
        fields=(
            Field(name="act", kind="hidden", value="upgrade"),
            *(Field(name="pick", kind="hidden", value=node) for node in form.picked),
            Field(
                name="cpi",
                label="Version",
                kind="select",
                options=options,
                value=form.text("cpi"),
                required=True,
            ),
            Field(
                name="way",
                label="While flows are open",
                kind="select",
                options=tuple(WAYS),
                value=form.text("way"),
            ),
            Field(name="typed", label=f"Type {count} to upgrade", required=True),
        ),
        is_risk=True,
        problem=problem,
    )


def _options(nodes: Sequence[JsonObject | None], cpis: Sequence[JsonObject]) -> Sequence[str]:
    """Every version to which at least one of the nodes can be upgraded, each once."""
    found = (option for node in nodes for option in versions_beside(node, cpis))
    return tuple(dict.fromkeys(found))


def _package(node: JsonObject | None) -> str:
    own = None if node is None else node.get("cpiIdentifier")
    return str(own.get("cpiName", "")) if isinstance(own, Mapping) else "unknown"
