"""Retry, discard and restore dead letters; show what one holds."""

from collections.abc import Mapping

from host.console.chosen import for_each, outcome
from host.console.forms import Form, Question
from host.console.pages.dead_letter import page_of
from host.console.questions import Done, Result, answered
from host.console.view import View

LETTERS = "/console/dead-letters"
_DONE: Mapping[str, Done] = {
    "retry": Done(page=LETTERS, flash="retried"),
    "discard": Done(page=LETTERS, flash="discarded"),
    "restore": Done(page=LETTERS, flash="restored"),
}


async def move(view: View, form: Form) -> Result:
    """No question: what is discarded can be restored."""
    del form
    letter = view.path("letter")
    act = view.here.rpartition("/")[2]
    title = f"{act.capitalize()} 1 dead letter"
    question = Question(title=title, button=act.capitalize(), back=f"{LETTERS}/{letter}")
    answer = await view.call("POST", ("deadletter", letter, act))
    return answered(view, answer, question, _DONE[act])


async def move_chosen(view: View, form: Form) -> Result:
    """The same for all that were chosen in the list; those that are refused are named."""
    act = form.text("act")
    done = _DONE.get(act)
    if done is None:
        return outcome(view, 0, (), Done(page=LETTERS, flash=""))
    return await for_each(
        view, form.picked, lambda letter: view.call("POST", ("deadletter", letter, act)), done
    )


async def content(view: View, form: Form) -> Result:
    """What a record holds: asked by a form, since the administrative log records who looked."""
    del form
    answer = await view.call("POST", ("deadletter", view.path("letter"), "content"))
    return await page_of(view, content=answer)
