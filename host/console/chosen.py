"""What comes of an action on several rows of a list."""

from collections.abc import Sequence
from dataclasses import dataclass

from host.console.questions import Done, Result
from host.console.view import View
from host.rest.gate import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A row with which it was not done, and why."""

    what: str
    code: str
    reason: str

    @staticmethod
    def of(what: str, answer: Answer) -> "Failure":
        return Failure(what=what, code=answer.code, reason=answer.reason)


def outcome(view: View, count: int, failures: Sequence[Failure], done: Done) -> Result:
    """The page of `done` if all was done; otherwise one that names what was not."""
    if count and not failures:
        return done
    return view.render(
        "outcome",
        http_status=409 if count else 400,
        section="",
        count=count,
        failures=failures,
        back=done.page,
    )
