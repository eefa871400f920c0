"""Records that the host has given up, or that were discarded."""

from host.console.pages.dead_letter import may_move
from host.console.view import ROWS, Page, View, items


async def show(view: View) -> Page:
    discarded = view.query("discarded") == "true"
    answer = await view.get(
        "deadletter",
        limit=ROWS,
        after=view.query("after") or None,
        discarded=True if discarded else None,
    )
    acts = ("restore",) if discarded else ("retry", "discard")
    return view.render(
        "dead_letters",
        section="dead-letters",
        answer=answer,
        letters=items(answer, "deadLetters"),
        discarded=discarded,
        acts=[act for act in acts if may_move(view, act)],
    )
