"""All virtual nodes, those that hurt first."""

from host.console.view import ROWS, Page, View, items, one

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
    return view.render(
        "nodes",
        section="nodes",
        answer=answer,
        nodes=items(answer, "virtualNodes"),
        wanted=wanted,
        choices=_WANTED,
        q=asked,
        live=one(live),
        may_create=view.may("POST", "/virtualnode"),
    )
