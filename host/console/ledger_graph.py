"""The graph around a transaction: whose states it takes, and what consumes its own. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from host.console.words import digest
from host.domain.json import JsonObject

SIDE_MAX = 20
"""Transactions that are drawn on each side; more are a box that counts them."""
_WIDTH, _HEIGHT, _COLUMN, _ROW = 200, 60, 330, 84
_LOOKS = {"V": "v", "U": "u", "I": "i", "D": "u"}
_WORDS = {"V": "verified", "U": "unverified", "I": "invalid", "D": "draft"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A transaction; without an id a box that counts further ones."""

    id: str
    title: str
    status: str
    look: str
    x: int
    y: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Boxes and the paths of arrows between them."""

    width: int
    height: int
    boxes: Sequence[Box]
    edges: Sequence[str]


def graph_of(overview: JsonObject) -> Graph:
    """The graph of a transaction's overview with what is around it."""
    around = overview.get("around")
    near = around if isinstance(around, Mapping) else {}
    before, after = _near(near, "before"), _near(near, "after")
    rows = max(len(before), len(after), 1)
    middle = (rows - 1) * _ROW // 2
    status = str(overview.get("status", ""))
    own = Box(
        id=str(overview.get("id", "")),
        title=digest(str(overview.get("id", ""))),
        status=_WORDS.get(status, status),
        look=f"{_LOOKS.get(status, '')} pick",
        x=14 + (_COLUMN if before else 0),
        y=24 + middle,
    )
    left = _boxes(before, 14, rows)
    right = _boxes(after, own.x + _COLUMN, rows)
    edges = [_edge(box, own) for box in left] + [_edge(own, box) for box in right]
    return Graph(
        width=own.x + _WIDTH + 30 + (_COLUMN if right else 0),
        height=rows * _ROW + 40,
        boxes=[*left, own, *right],
        edges=edges,
    )


def _near(near: JsonObject, name: str) -> Sequence[JsonObject]:
    listed = near.get(name)
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return ()
    found = [each for each in listed if isinstance(each, Mapping)]
    if len(found) <= SIDE_MAX:
        return found
    return [*found[: SIDE_MAX - 1], {"more": len(found) - SIDE_MAX + 1}]


def _boxes(found: Sequence[JsonObject], x: int, rows: int) -> Sequence[Box]:
    first = 24 + (rows - len(found)) * _ROW // 2
    boxes = []
    for n, each in enumerate(found):
        more, status = each.get("more"), str(each.get("status") or "")
        boxes.append(
            Box(
                id="" if more else str(each.get("id", "")),
                title=f"and {more} more" if more else digest(str(each.get("id", ""))),
                status=_WORDS.get(status, "not here") if not more else "",
                look=_LOOKS.get(status, ""),
                x=x,
                y=first + n * _ROW,
            )
        )
    return boxes


def _edge(one: Box, other: Box) -> str:
    begin_x, begin_y = one.x + _WIDTH, one.y + _HEIGHT // 2
    end_x, end_y = other.x - 6, other.y + _HEIGHT // 2
    middle = (begin_x + end_x) // 2
    return f"M{begin_x} {begin_y}C{middle} {begin_y} {middle} {end_y} {end_x} {end_y}"
