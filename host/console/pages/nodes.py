"""All virtual nodes, those that hurt first."""

from host.console.view import ROWS, Page, View, items, one, text

_WANTED = ("all", "hurting", "maintenance")


async def show(view: View) -> Page:
    wanted = view.query("wanted") if view.query("wanted") in _WANTED else "all"
    asked = view.query("q", most=200)
    answer, live = await view.all(
        (
            ("glance", "virtualnode"),
            {
                "limit": ROWS,
                "after": view.query("after") or None,
                "q": asked or None,
                "wanted": None if wanted == "all" else wanted,
            },
        ),
        (("live",), {}),
    )
    nodes = items(answer, "virtualNodes")
    first = text(nodes[0], "shortHash") if nodes else ""
    may_pause = view.may("PUT", "/virtualnode/{node}/state/PAUSED", node=first)
    may_upgrade = view.may("PUT", "/virtualnode/{node}/cpi/{cpi}", node=first, cpi="0" * 12)
    may_set_quota = view.may("PUT", "/virtualnode/{node}/quota", node=first)
    return view.render(
        "nodes",
        section="nodes",
        answer=answer,
        nodes=nodes,
        wanted=wanted,
        choices=_WANTED,
        q=asked,
        live=one(live),
        may_create=view.may("POST", "/virtualnode"),
        may_pause=may_pause,
        may_set_quota=may_set_quota,
        may_upgrade=may_upgrade,
        may_choose=may_pause or may_set_quota or may_upgrade,
    )
