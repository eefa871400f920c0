"""Networks: how a node sees its group, who can be reached, who waits for approval."""

from collections.abc import Sequence

from host.console.network_map import map_of
from host.console.view import ROWS, Page, View, items, one, text
from host.domain.json import JsonObject

_PEERS_MAX = 400


async def show(view: View) -> Page:
    answer = await view.get("glance", "group", limit=ROWS, after=view.query("after") or None)
    return view.render(
        "networks", section="networks", answer=answer, groups=items(answer, "groups")
    )


async def show_one(view: View) -> Page:
    node = view.path("node")
    found, health, peers, registrations = await view.all(
        (("virtualnode", node), {}),
        (("network", node, "health"), {}),
        (("network", node, "peers"), {"limit": _PEERS_MAX}),
        (("mgm", node, "registrations"), {"limit": ROWS}),
    )
    if not found.is_ok:
        return view.render("refused", http_status=found.status, answer=found, section="networks")
    listed = items(peers, "peers")
    down = [p for p in listed if text(p, "lastError")]
    return view.render(
        "network",
        section="networks",
        short_hash=node,
        node=one(found),
        health_answer=health,
        health=one(health),
        peers_answer=peers,
        peers=_worst_first(listed)[:ROWS],
        peers_count=len(listed),
        down=down,
        map=map_of(listed),
        registrations=[r for r in items(registrations, "") if text(r, "registrationId")],
        may_ping=view.may("POST", "/network/{node}/ping", node=node),
    )


def _worst_first(peers: Sequence[JsonObject]) -> Sequence[JsonObject]:
    return sorted(peers, key=lambda p: (not text(p, "lastError"), text(p, "route") != "LINK"))
