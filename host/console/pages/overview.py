"""The overview: what needs you, then numbers as its proof."""

from collections.abc import Mapping, Sequence

from host.console.view import Page, View, items, one, text
from host.domain.json import JsonObject
from host.observe.judgement.headline import headline

NEEDS_MAX = 7
_ACTS = 5


async def show(view: View) -> Page:
    attention, live, acts = await view.all(
        (("attention",), {}), (("live",), {}), (("administrativelog",), {"limit": _ACTS})
    )
    findings = items(attention, "findings")
    numbers = one(live)
    return view.render(
        "overview",
        section="overview",
        attention=attention,
        findings=findings[:NEEDS_MAX],
        more=max(len(findings) - NEEDS_MAX, 0),
        title=headline(len(findings)) if attention.is_ok else "Overview",
        places={text(f, "named"): place_of(f) for f in findings},
        live_answer=live,
        live=numbers,
        workers=_hardest(numbers),
        acts_answer=acts,
        acts=items(acts, "acts"),
    )


def place_of(finding: JsonObject) -> tuple[str, str]:
    """The page that leads to a finding's cause, and the words of its link."""
    named = text(finding, "named")
    match text(finding, "subject"):
        case "node":
            return f"/console/nodes/{named}", "Show the node"
        case "dead-letters":
            return "/console/dead-letters", "Show dead letters"
        case "queue":
            return "/console/flows?status=OPEN", "Show open flows"
        case "worker":
            return "/console#workers", "Show workers"
        case "certificate":
            return "/console/networks", "Show networks"
    return "/console#disk", "Show the host"


def _hardest(live: JsonObject | None) -> Sequence[JsonObject]:
    """Workers, those that used most processor time first."""
    found = None if live is None else live.get("workers")
    if not isinstance(found, Sequence) or isinstance(found, str):
        return ()
    workers = [each for each in found if isinstance(each, Mapping)]
    return sorted(workers, key=lambda w: -_seconds(w))


def _seconds(worker: JsonObject) -> float:
    used = worker.get("cpuSeconds")
    return float(used) if isinstance(used, int | float) else 0.0
