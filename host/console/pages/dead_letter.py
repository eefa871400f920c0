"""One record that the host has given up, with what can be done about it."""

from host.console.view import Page, View, one, text
from host.rest.gate import Answer


async def show(view: View) -> Page:
    return await page_of(view)


async def page_of(view: View, *, content: Answer | None = None) -> Page:
    """The page; with what the record holds if that was asked."""
    answer = await view.get("deadletter", view.path("letter"))
    facts = one(answer)
    if facts is None:
        return view.render(
            "refused", http_status=answer.status, answer=answer, section="dead-letters"
        )
    return view.render(
        "dead_letter",
        section="dead-letters",
        facts=facts,
        letter=facts["letter"],
        content=content,
        content_text=text(None if content is None else one(content), "content"),
        may_retry=may_move(view, "retry"),
        may_discard=may_move(view, "discard"),
        may_restore=may_move(view, "restore"),
        may_see=may_move(view, "content"),
    )


def may_move(view: View, act: str) -> bool:
    """Whether the user may do this with dead letters."""
    return view.may("POST", "/deadletter/{letterid}/" + act, letterid="0-0-0")
