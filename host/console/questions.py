"""Questions and what comes of them: the page of a question, and of what was done."""

from dataclasses import dataclass, replace
from urllib.parse import quote

from host.console.forms import Form, Question
from host.console.undo import Undo
from host.console.view import Page, View
from host.rest.gate import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The page that shows what an action led to; `flash` is a key of the template's sentences.

    `undo` takes it back.
    """

    page: str
    flash: str
    undo: Undo | None = None

    def url(self, form_token: str) -> str:
        """Where to go, for a session; with what undoes it."""
        joint = "&" if "?" in self.page else "?"
        sealed = "" if self.undo is None else self.undo.sealed(form_token)
        return f"{self.page}{joint}done={quote(self.flash)}" + (f"&undo={sealed}" if sealed else "")


Result = Done | Page


def asked(view: View, question: Question, *, status: int = 200) -> Page:
    """The page of a question."""
    return view.render("question", http_status=status, question=question, section="")


def answered(view: View, answer: Answer, question: Question, done: Done) -> Result:
    if answer.is_ok:
        return done
    problem = f"{answer.reason} ({answer.code})"
    return asked(view, replace(question, problem=problem), status=answer.status)


def kept(question: Question, form: Form) -> Question:
    """The question with what was typed."""
    return replace(
        question,
        fields=tuple(
            each if each.kind == "hidden" else replace(each, value=form.text(each.name))
            for each in question.fields
        ),
    )
