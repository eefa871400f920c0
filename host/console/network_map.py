"""The map of a network: a walled box for each cluster, a dot for members, a line for a link. Pure.

What another cluster is, is known here by the endpoints of its members' gateways alone: members with
the same endpoints are drawn in one box. Boxes stand in two columns, in the order of endpoints.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from host.domain.json import JsonObject

DOTS_MAX = 400
CLUSTERS_MAX = 12
_WIDTH, _BOX_WIDTH, _HEAD, _PITCH, _GAP = 1010, 290, 56, 17, 28
_IN_ROW = 15
_HERE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """Members: `look` is empty, `idle`, or `bad`."""

    x: float
    y: float
    look: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A box with its members; `link` is the path of its line from here, empty for this cluster."""

    name: str
    members: int
    x: int
    y: int
    width: int
    height: int
    dots: Sequence[Dot]
    link: str
    is_down: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkMap:
    """The map. A dot stands for `each` members; `more` clusters are not drawn."""

    width: int
    height: int
    clusters: Sequence[Cluster]
    each: int
    more: int

    @property
    def label(self) -> str:
        """The map in words."""
        down = [c.name for c in self.clusters if c.is_down]
        names = f"{len(self.clusters)} clusters"
        return f"Map: {names}; {', '.join(down)} cannot be reached" if down else f"Map: {names}"


def map_of(peers: Sequence[JsonObject]) -> NetworkMap:
    """The map of members as one node sees them."""
    groups: dict[str, list[JsonObject]] = {_HERE: []}
    for peer in peers:
        groups.setdefault(_place(peer), []).append(peer)
    others = sorted(name for name in groups if name != _HERE)
    drawn = others[: CLUSTERS_MAX - 1]
    each = max(1, math.ceil(len(peers) / DOTS_MAX))
    here = _box("this cluster", groups[_HERE], 20, 20, each, link="", is_down=False)
    boxes, column, heights = [here], 0, [20, 20]
    for name in drawn:
        column = 0 if heights[0] <= heights[1] else 1
        x = 380 + column * (_BOX_WIDTH + _GAP)
        is_down = any(p.get("lastError") for p in groups[name])
        y = heights[column]
        link = _link(here, x, y)
        box = _box(name, groups[name], x, y, each, link=link, is_down=is_down)
        boxes.append(box)
        heights[column] += box.height + _GAP
    bottom = max(box.y + box.height for box in boxes) + 20
    return NetworkMap(
        width=_WIDTH, height=bottom, clusters=boxes, each=each, more=len(others) - len(drawn)
    )


def _place(peer: JsonObject) -> str:
    if peer.get("route") == "HERE":
        return _HERE
    endpoints = peer.get("endpoints")
    if not isinstance(endpoints, Sequence) or isinstance(endpoints, str):
        return "without an endpoint"
    urls = [e.get("url") for e in endpoints if isinstance(e, Mapping)]
    hosts = sorted({urlsplit(u).netloc for u in urls if isinstance(u, str)})
    return ", ".join(hosts)[:40] or "without an endpoint"


def _box(
    name: str,
    members: Sequence[JsonObject],
    x: int,
    y: int,
    each: int,
    *,
    link: str,
    is_down: bool,
) -> Cluster:
    looks = ["bad" if m.get("lastError") else "" for m in members][::each]
    dots = [
        Dot(
            x=x + 28 + (n % _IN_ROW) * _PITCH,
            y=y + _HEAD + 18 + (n // _IN_ROW) * _PITCH,
            look=look,
        )
        for n, look in enumerate(looks)
    ]
    rows = max(1, math.ceil(len(looks) / _IN_ROW))
    return Cluster(
        name=name,
        members=len(members),
        x=x,
        y=y,
        width=_BOX_WIDTH,
        height=_HEAD + 22 + rows * _PITCH,
        dots=dots,
        link=link,
        is_down=is_down,
    )


def _link(here: Cluster, x: int, y: int) -> str:
    begin_x, begin_y = here.x + here.width, here.y + min(here.height // 2, 60)
    end_y = y + 40
    middle = (begin_x + x) // 2
    return f"M{begin_x} {begin_y}C{middle} {begin_y} {middle} {end_y} {x} {end_y}"
