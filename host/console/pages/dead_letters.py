"""Records that the host has given up."""

from host.console.view import ROWS, Page, View, items


async def show(view: View) -> Page:
    answer = await view.get("deadletter", limit=ROWS, after=view.query("after") or None)
    return view.render(
        "dead_letters",
        section="dead-letters",
        answer=answer,
        letters=items(answer, "deadLetters"),
    )
