"""The sandboxes of a package's CPKs, drawn from what REST tells about them."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from host.console.view import members, text
from host.domain.json import JsonObject
from host.domain.wording import size
from host.guests.walls import Door, ImportFacts
from host.tools.audit.drawing import drawing, short_digest, short_name, svg_of

_EXPORTS = {"contract": ("verify", "describe"), "workflow": ("run", "describe")}


@dataclass(frozen=True, slots=True, kw_only=True)
class CpkDrawing:
    """A CPK with its drawing; `says` are its facts as REST tells them."""

    says: JsonObject
    svg: Markup


def drawings(cpks: Sequence[JsonObject]) -> Sequence[CpkDrawing]:
    """A drawing of each CPK."""
    return [CpkDrawing(says=cpk, svg=_svg(cpk, f"cpk{n}")) for n, cpk in enumerate(cpks)]


def _svg(cpk: JsonObject, key: str) -> Markup:
    name, world = text(cpk, "name"), text(cpk, "world")
    return svg_of(
        drawing(
            key,
            name,
            imports=[_import(each) for each in members(cpk, "imports")],
            exports=_EXPORTS.get(world, ()),
            guest=(
                ("title", short_name(name)),
                ("mid", f"{text(cpk, 'version')} · world {world}"),
                ("code", short_digest(text(cpk, "codeDigest"))),
            ),
            memory=f"at most {size(_memory(cpk))}",
        )
    )


def _import(found: JsonObject) -> ImportFacts:
    return ImportFacts(
        interface=text(found, "interface"),
        function=text(found, "function"),
        door=Door(text(found, "door")),
        quota={},
        reaches=text(found, "reaches") or None,
    )


def _memory(cpk: JsonObject) -> int:
    most = next((e for e in members(cpk, "limits") if e.get("name") == "memoryBytesMax"), {})
    value = most.get("effective")
    return value if isinstance(value, int) else 0
