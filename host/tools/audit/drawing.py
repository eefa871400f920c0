"""The content of one sandbox's drawing: the guest inside, and the doors in its walls."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from host.guests.walls import Door, ImportFacts
from host.tools.audit.model import ComponentFacts
from host.tools.audit.text import amount, size
from host.tools.html_pages import render
from sandbox.host_api import HOST_API

_NAME_CHARACTERS = 27
_DIGEST_CHARACTERS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorway:
    """An interface as a door: its functions, whether calls are permitted, and who receives data."""

    interface: str
    functions: tuple[str, ...]
    state: str
    is_closed: bool
    reaches: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """One component's sandbox.

    Attributes:
        key: begins the ids in the drawing; no other one on its page has it.
        exports: the functions that the host calls; the runtime's own exports are never called.
        guest: the guest's lines, each with its class.
        memory: a run's initial memory and its limit, in words.
        memory_filled: the same as a fraction from 0 to 1.
        doors: open ones first.
    """

    key: str
    name: str
    summary: str
    exports: tuple[str, ...]
    guest: tuple[tuple[str, str], ...]
    memory: str
    memory_filled: float
    doors: tuple[Doorway, ...]


def drawing_of(component: ComponentFacts, key: str) -> Drawing:
    """The sandbox of a component with known imports."""
    names = [name for name in component.exports if name in {"verify", "run", "describe"}]
    most = next((f.effective for f in component.limits if f.name == "memoryBytesMax"), 0)
    least = component.image_size or 0
    if component.body:
        least = sum(bounds.minimum for bounds in component.body.memories)
    return drawing(
        key,
        component.name,
        imports=component.imports or (),
        exports=names,
        guest=_guest(component),
        memory=f"starts with {size(least)} of at most {size(most)}",
        memory_filled=min(1.0, least / most) if most else 0.0,
    )


def drawing(
    key: str,
    name: str,
    *,
    imports: Sequence[ImportFacts],
    exports: Sequence[str],
    guest: tuple[tuple[str, str], ...],
    memory: str,
    memory_filled: float = 0.0,
) -> Drawing:
    """A sandbox by its parts; see `Drawing`."""
    doors = _doorways(imports)
    closed = sum(doorway.is_closed for doorway in doors)
    return Drawing(
        key=key,
        name=name,
        summary=f"{len(doors) - closed} doors open, {closed} closed",
        exports=tuple(sorted(exports, key=lambda export: export == "describe")),
        guest=guest,
        memory=memory,
        memory_filled=memory_filled,
        doors=doors,
    )


def svg_of(shown: Drawing) -> Markup:
    """The drawing by itself; its styles are in `DRAWING_CSS`."""
    return Markup(render(__package__, "drawing.svg.jinja", drawing=shown))  # noqa: S704  # escaped


DRAWING_CSS = Path(__file__).with_name("drawing.css")


def _doorways(imports: Sequence[ImportFacts]) -> tuple[Doorway, ...]:
    """Doors in the order of the world's interfaces, open ones first."""
    found = []
    for interface, functions in HOST_API.items():
        found_here = {fact.function: fact for fact in imports if fact.interface == interface}
        own = [found_here[function] for function in functions if function in found_here]
        if own:
            found.append(
                Doorway(
                    interface=interface,
                    functions=tuple(fact.function for fact in own),
                    state=_STATES[own[0].door],
                    is_closed=own[0].door is Door.REFUSED,
                    reaches=next((fact.reaches for fact in own if fact.reaches), None),
                )
            )
    return tuple(sorted(found, key=lambda doorway: doorway.is_closed))


_STATES = {Door.ALWAYS: "always open", Door.OPEN: "open if granted", Door.REFUSED: "closed"}


def _guest(component: ComponentFacts) -> tuple[tuple[str, str], ...]:
    kind = "Python" if component.form == "python" else "component"
    lines = [("title", short_name(component.name)), ("mid", f"{kind} · world {component.world}")]
    if component.image_size is not None:
        lines.append(("small", f"image of {size(component.image_size)}"))
    if component.body:
        body = component.body
        lines.append(
            ("small", f"{amount(body.functions)} functions, {size(body.code_size)} of code")
        )
    lines.append(("code", short_digest(component.code_digest or "")))
    return tuple(lines)


def short_digest(digest: str) -> str:
    """The beginning of a digest, as long as fits into a drawing."""
    return f"{digest.removeprefix('SHA-256:')[:_DIGEST_CHARACTERS]}…"


def short_name(name: str) -> str:
    """The end of a name, as long as fits into a drawing."""
    return name if len(name) <= _NAME_CHARACTERS else "…" + name[1 - _NAME_CHARACTERS :]
