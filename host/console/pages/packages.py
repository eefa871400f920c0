"""Packages: which are stored, what the code of one may do, and what another version changed."""

from collections.abc import Mapping

from host.console.package_changes import lines
from host.console.sandbox_drawings import drawings
from host.console.view import ROWS, Page, View, items, members, one, text
from host.domain.json import JsonObject

_MANY = 1000


async def show(view: View) -> Page:
    answer = await view.get("cpi", limit=ROWS, after=view.query("after") or None)
    return view.render(
        "packages",
        section="packages",
        answer=answer,
        cpis=items(answer, "cpis"),
        may_upload=view.may("POST", "/cpi"),
    )


async def show_one(view: View) -> Page:
    checksum = view.path("checksum").upper()
    against = view.query("against", most=64).upper()
    answer, nodes, audit = await view.all(
        (("cpi",), {"limit": _MANY}),
        (("glance", "virtualnode"), {"limit": ROWS, "cpi": checksum}),
        (("cpi", checksum, "audit"), {"against": against or None}),
    )
    cpis = items(answer, "cpis")
    cpi = next((c for c in cpis if text(c, "cpiFileChecksum") == checksum), None)
    if cpi is None:
        return view.render("refused", http_status=404, answer=answer, section="packages")
    others = [c for c in cpis if _name(c) == _name(cpi) and c is not cpi]
    comparison = (one(audit) or {}).get("comparison")
    known = comparison if isinstance(comparison, Mapping) else None
    return view.render(
        "package",
        section="packages",
        cpi=cpi,
        others=others,
        other=next((c for c in others if text(c, "cpiFileChecksum") == against), None),
        audit_answer=audit,
        cpks=drawings(items(audit, "cpks")),
        comparison=known,
        changes=() if known is None else lines(members(known, "changes")),
        nodes_answer=nodes,
        nodes=items(nodes, "virtualNodes"),
        nodes_count=(one(nodes) or {}).get("count", 0),
    )


def _name(cpi: JsonObject) -> str:
    found = cpi.get("id")
    return text(found, "cpiName") if isinstance(found, Mapping) else ""
