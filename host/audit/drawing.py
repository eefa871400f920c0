"""The drawing of one sandbox as SVG: the guest inside, its walls, and the doors in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from host.audit.model import ComponentFacts, Door, ImportFacts
from host.audit.text import amount, printable, size
from sandbox.host_api import HOST_API

_WIDTH = 1040
_TOP = 56
_ROW = 58
_WALL_LEFT, _WALL_RIGHT, _WALL = 210, 560, 14
_DOOR = 34


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doorway:
    """An interface as a door: its functions, what a call meets, and who is reached through it."""

    interface: str
    functions: tuple[str, ...]
    door: Door
    reaches: str | None


def text(content: str) -> str:
    """Content of the package as text of a document."""
    return escape(printable(content))


def drawing_of(component: ComponentFacts) -> str:
    """The sandbox of a component whose imports were read."""
    doors = _doorways(component.imports or ())
    rows = max(len(doors), 4)
    inner = rows * _ROW
    bottom = _TOP + inner + 28
    title = f"The sandbox of {component.name}: {_summary(doors)}"
    parts = [
        f'<svg class="sandbox" viewBox="0 0 {_WIDTH} {bottom + 44}" role="img">',
        f"<title>{text(title)}</title>",
        _walls(bottom),
        *_exports(component, inner),
        *_guest(component, inner),
    ]
    for number, doorway in enumerate(doors):
        parts += _door(doorway, _TOP + 14 + number * _ROW + _ROW // 2)
    if not doors:
        parts += _sealed(_TOP + 14 + inner // 2)
    parts += [_legend(bottom, doors), "</svg>"]
    return "\n".join(parts)


def _doorways(imports: Sequence[ImportFacts]) -> list[_Doorway]:
    """Doors in the order of the world's interfaces, open ones first."""
    found = []
    for interface, functions in HOST_API.items():
        found_here = {fact.function: fact for fact in imports if fact.interface == interface}
        own = [found_here[function] for function in functions if function in found_here]
        if own:
            found.append(
                _Doorway(
                    interface=interface,
                    functions=tuple(fact.function for fact in own),
                    door=own[0].door,
                    reaches=next((fact.reaches for fact in own if fact.reaches), None),
                )
            )
    return sorted(found, key=lambda doorway: doorway.door is Door.REFUSED)


def _summary(doors: Sequence[_Doorway]) -> str:
    refused = sum(doorway.door is Door.REFUSED for doorway in doors)
    return f"{len(doors) - refused} doors open, {refused} closed"


def _walls(bottom: int) -> str:
    place = f'x="{_WALL_LEFT}" y="{_TOP}" width="{_WALL_RIGHT - _WALL_LEFT}"'
    shape = f'{place} height="{bottom - _TOP}" rx="10"'
    return (
        f'<rect class="yard" {shape}/><rect class="wall" {shape} stroke-width="{_WALL}"/>'
        f'<text class="label" x="{_WALL_LEFT}" y="{_TOP - 22}">WebAssembly sandbox</text>'
        f'<text class="label" x="0" y="{_TOP - 22}">The host calls</text>'
        f'<text class="label" x="{_WALL_RIGHT + 52}" y="{_TOP - 22}">The code may call</text>'
    )


def _exports(component: ComponentFacts, inner: int) -> Iterator[str]:
    """Arrows from the left: what the host calls. The runtime's own leftovers are not called."""
    names = [name for name in component.exports if name in {"verify", "run", "describe"}]
    for number, name in enumerate(sorted(names, key=lambda n: n == "describe")):
        y = _TOP + 14 + inner // 2 - 24 + number * 56
        yield f'<rect class="gap" x="{_WALL_LEFT - 9}" y="{y - 13}" width="18" height="26"/>'
        yield f'<path class="call" d="M20 {y} H{_WALL_LEFT + 16}" marker-end="url(#head)"/>'
        yield f'<text class="name" x="20" y="{y - 10}">{text(name)}</text>'
        note = {"verify": "transaction in, verdict out", "run": "start in, result out"}
        sentence = note.get(name, "what the code declares")
        yield f'<text class="small" x="20" y="{y + 18}">{sentence}</text>'


def _guest(component: ComponentFacts, inner: int) -> Iterator[str]:
    center, middle = (_WALL_LEFT + _WALL_RIGHT) // 2, _TOP + 14 + inner // 2
    x, width, height = center - 143, 286, 190
    y = middle - height // 2
    yield f'<rect class="guest" x="{x}" y="{y}" width="{width}" height="{height}" rx="12"/>'
    kind = "Python" if component.form == "python" else "component"
    lines = [("title", _short(component.name, 27)), ("mid", f"{kind} · world {component.world}")]
    if component.body:
        body = component.body
        about = f"{amount(body.functions)} functions, {size(body.code_size)} of code"
        lines.append(("small", about))
    digest = (component.component_digest or "").removeprefix("SHA-256:")
    lines.append(("code", f"{digest[:24]}…"))
    for number, (kind_of_text, line) in enumerate(lines):
        yield (
            f'<text class="{kind_of_text}" text-anchor="middle" x="{center}" '
            f'y="{y + 34 + number * 23}">{text(line)}</text>'
        )
    yield from _gauge(component, x + 20, y + height - 52, width - 40)


def _gauge(component: ComponentFacts, x: int, y: int, width: int) -> Iterator[str]:
    """The memory that the component starts with, as a part of what a run may have."""
    most = next((f.effective for f in component.limits if f.name == "memoryBytesMax"), 0)
    least = sum(bounds.minimum for bounds in component.body.memories) if component.body else 0
    filled = min(width, round(width * least / most)) if most else 0
    yield f'<rect class="track" x="{x}" y="{y}" width="{width}" height="8" rx="4"/>'
    yield f'<rect class="fill" x="{x}" y="{y}" width="{max(filled, 3)}" height="8" rx="4"/>'
    words = f"starts with {size(least)} of at most {size(most)}"
    middle = f'text-anchor="middle" x="{x + width // 2}" y="{y + 27}"'
    yield f'<text class="small" {middle}>{words}</text>'


def _door(doorway: _Doorway, y: int) -> Iterator[str]:
    top = y - _DOOR // 2
    left = _WALL_RIGHT - _WALL // 2 - 1
    reach = _WALL_RIGHT + 52
    names = " ".join(doorway.functions)
    wide = f'x="{left}" y="{top}" width="{_WALL + 2}" height="{_DOOR}"'
    if doorway.door is Door.REFUSED:
        yield f'<rect class="shut" {wide} rx="2"/>'
        yield f'<path class="bar" d="M{left - 7} {y} H{left + _WALL + 9}"/>'
        yield f'<text class="name off" x="{reach}" y="{y - 3}">{text(doorway.interface)}</text>'
        yield f'<text class="code off" x="{reach}" y="{y + 15}">{text(names)}</text>'
        yield f'<text class="tag off" text-anchor="end" x="{_WIDTH}" y="{y - 3}">closed</text>'
        return
    kind = "out" if doorway.reaches else "in"
    yield f'<rect class="gap" {wide}/>'
    yield f'<path class="leaf" d="M{left + _WALL} {top} l26 -9"/>'
    yield (
        f'<path class="call {kind}" d="M{_WALL_RIGHT - 34} {y} H{_WALL_RIGHT + 40}" '
        f'marker-end="url(#head-{kind})"/>'
    )
    yield f'<text class="name" x="{reach}" y="{y - 3}">{text(doorway.interface)}</text>'
    yield f'<text class="code" x="{reach}" y="{y + 15}">{text(names)}</text>'
    tag = "always open" if doorway.door is Door.ALWAYS else "open if granted"
    yield f'<text class="tag" text-anchor="end" x="{_WIDTH}" y="{y - 3}">{tag}</text>'
    if doorway.reaches:
        words = text(f"→ {doorway.reaches}")
        yield f'<text class="reach" text-anchor="end" x="{_WIDTH}" y="{y + 15}">{words}</text>'


def _sealed(y: int) -> Iterator[str]:
    x = _WALL_RIGHT + 52
    yield f'<text class="name" x="{x}" y="{y - 6}">No door at all</text>'
    lines = (
        "This world imports nothing: no clock, no",
        "randomness, no files, no network, no calls.",
    )
    for number, line in enumerate(lines):
        yield f'<text class="small" x="{x}" y="{y + 14 + number * 18}">{line}</text>'


def _legend(bottom: int, doors: Sequence[_Doorway]) -> str:
    words = (
        _summary(doors) if doors else "sealed: what goes in is the text, what comes out the answer"
    )
    heads = "".join(
        f'<marker id="head{suffix}" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path class="tip{suffix}" d="M0 0 L8 4 L0 8 z"/></marker>'
        for suffix in ("", "-in", "-out")
    )
    return (
        f'<defs>{heads}</defs><text class="small" x="{_WALL_LEFT}" y="{bottom + 32}">{words}</text>'
    )


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else "…" + name[1 - most :]
