"""Packages: which are stored, what one has, and what changed since another version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from host.console.view import ROWS, Page, View, items, text
from host.console.words import NOTHING
from host.domain.json import JsonObject

_MANY = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A difference between two versions; `is_risk` if code may do more by it."""

    what: str
    before: str
    after: str
    is_risk: bool


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
    answer, nodes = await view.all(
        (("cpi",), {"limit": _MANY}), (("glance", "virtualnode"), {"limit": _MANY})
    )
    cpis = items(answer, "cpis")
    cpi = next((c for c in cpis if text(c, "cpiFileChecksum") == checksum), None)
    if cpi is None:
        return view.render("refused", http_status=404, answer=answer, section="packages")
    others = [c for c in cpis if _name(c) == _name(cpi) and c is not cpi]
    against = view.query("against", most=64).upper()
    other = next((c for c in others if text(c, "cpiFileChecksum") == against), None)
    runs = [n for n in items(nodes, "virtualNodes") if text(n, "cpiChecksum").startswith(checksum)]
    return view.render(
        "package",
        section="packages",
        cpi=cpi,
        others=others,
        other=other,
        changes=() if other is None else changes(other, cpi),
        nodes_answer=nodes,
        nodes=runs[:ROWS],
        nodes_count=len(runs),
    )


def changes(before: JsonObject, after: JsonObject) -> Sequence[Change]:
    """What differs between two versions of a package, signers and new code first."""
    old, new = _cpks(before), _cpks(after)
    found = []
    if _signer(before) != _signer(after):
        found.append(
            Change(what="Signers", before=_signer(before), after=_signer(after), is_risk=True)
        )
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            found.append(Change(what=name, before=NOTHING, after="new", is_risk=True))
        elif name not in new:
            found.append(Change(what=name, before="was there", after="removed", is_risk=False))
        elif text(old[name], "hash") != text(new[name], "hash"):
            found.append(
                Change(
                    what=name,
                    before=f"{_version(old[name])}, {text(old[name], 'hash')}",
                    after=f"{_version(new[name])}, {text(new[name], 'hash')}",
                    is_risk=False,
                )
            )
            found += _libraries(name, old[name], new[name])
    return sorted(found, key=lambda change: not change.is_risk)


def _libraries(name: str, old: JsonObject, new: JsonObject) -> Sequence[Change]:
    before, after = _texts(old, "libraries"), _texts(new, "libraries")
    added, gone = sorted(after - before), sorted(before - after)
    if not added and not gone:
        return ()
    return (
        Change(
            what=f"{name}, libraries",
            before=", ".join(gone) or NOTHING,
            after=", ".join(added) or NOTHING,
            is_risk=bool(added),
        ),
    )


def _cpks(cpi: JsonObject) -> Mapping[str, JsonObject]:
    listed = cpi.get("cpks")
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return {}
    return {_cpk_name(cpk): cpk for cpk in listed if isinstance(cpk, Mapping)}


def _cpk_name(cpk: JsonObject) -> str:
    found = cpk.get("id")
    return text(found, "name") if isinstance(found, Mapping) else ""


def _version(cpk: JsonObject) -> str:
    found = cpk.get("id")
    return text(found, "version") if isinstance(found, Mapping) else ""


def _name(cpi: JsonObject) -> str:
    found = cpi.get("id")
    return text(found, "cpiName") if isinstance(found, Mapping) else ""


def _signer(cpi: JsonObject) -> str:
    found = cpi.get("id")
    return text(found, "signerSummaryHash") if isinstance(found, Mapping) else ""


def _texts(found: JsonObject, name: str) -> set[str]:
    listed = found.get(name)
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return set()
    return {each for each in listed if isinstance(each, str)}
