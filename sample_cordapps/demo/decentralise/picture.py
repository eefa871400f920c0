"""A picture of a run: where each identity was, and when its flows ended. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_LEFT, _TOP, _ROW, _WIDTH, _BAR = 150, 64, 30, 720, 14
_LAPTOP, _MOVING, _OWN, _FLOW, _TEXT = "#4878a8", "#d98c2b", "#4a9a62", "#222222", "#333333"


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One identity's run; all times are in seconds since the load began.

    Attributes:
        name: of the identity.
        left, arrived: when its move began and ended.
        flows: when flows that it began have ended.
    """

    name: str
    left: float
    arrived: float
    flows: Sequence[float]


def drawn(lives: Sequence[Life], seconds: float, caption: str) -> str:
    """The picture as SVG; `seconds` is the length of the run."""
    height = _TOP + _ROW * len(lives) + 34
    width = _LEFT + _WIDTH + 20
    scale = _WIDTH / max(seconds, 0.001)
    root = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
    parts = [
        f'<svg {root} font-family="sans-serif" font-size="12">',
        f"<title>{escape(caption)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="22" font-size="13" fill="{_TEXT}">{escape(caption)}</text>',
        *_legend(),
    ]
    for number, life in enumerate(lives):
        parts += _row(life, _TOP + _ROW * number, scale, seconds)
    parts += _axis(_TOP + _ROW * len(lives), seconds, scale)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _legend() -> Sequence[str]:
    found, x = [], 12
    for colour, text in (
        (_LAPTOP, "on the first host"),
        (_MOVING, "is being moved"),
        (_OWN, "on a host of its own"),
    ):
        found.append(f'<rect x="{x}" y="36" width="14" height="10" fill="{colour}"/>')
        found.append(f'<text x="{x + 20}" y="45" fill="{_TEXT}">{text}</text>')
        x += 170
    found.append(f'<line x1="{x + 4}" x2="{x + 4}" y1="34" y2="48" stroke="{_FLOW}"/>')
    found.append(
        f'<text x="{x + 14}" y="45" fill="{_TEXT}">a flow that it began has completed</text>'
    )
    return found


def _row(life: Life, top: float, scale: float, seconds: float) -> Sequence[str]:
    middle = top + _BAR / 2
    spans = (
        (0.0, life.left, _LAPTOP),
        (life.left, life.arrived, _MOVING),
        (life.arrived, seconds, _OWN),
    )
    bars = [
        f'<rect x="{_LEFT + begin * scale:.1f}" y="{top}" width="{(end - begin) * scale:.1f}"'
        f' height="{_BAR}" fill="{colour}"/>'
        for begin, end, colour in spans
    ]
    ticks = [
        f'<line x1="{_LEFT + at * scale:.1f}" x2="{_LEFT + at * scale:.1f}" y1="{top - 3}"'
        f' y2="{top + _BAR + 3}" stroke="{_FLOW}" stroke-width="1"/>'
        for at in life.flows
    ]
    label = (
        f'<text x="{_LEFT - 10}" y="{middle + 4}" text-anchor="end" fill="{_TEXT}">'
        f"{escape(life.name)}</text>"
    )
    return [label, *bars, *ticks]


def _axis(top: float, seconds: float, scale: float) -> Sequence[str]:
    step = next((each for each in (5, 10, 20, 30, 60, 120, 300) if seconds / each <= 12), 600)
    found = []
    for number in range(int(seconds // step) + 1):
        x = _LEFT + number * step * scale
        found.append(
            f'<text x="{x:.1f}" y="{top + 18}" text-anchor="middle" fill="{_TEXT}">'
            f"{number * step} s</text>"
        )
    return found
