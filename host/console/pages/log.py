"""The administrative log: who did what, and what was refused."""

from host.console.view import ROWS, Page, View, items


async def show(view: View) -> Page:
    user, resource = view.query("user", most=255), view.query("resource", most=2048)
    answer = await view.get(
        "administrativelog",
        limit=ROWS,
        after=view.query("after") or None,
        user=user or None,
        resource=resource or None,
    )
    return view.render(
        "log",
        section="log",
        answer=answer,
        acts=items(answer, "acts"),
        user=user,
        resource=resource,
    )
