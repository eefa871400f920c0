"""What comes of an action on several rows of a list."""

from collections.abc import Awaitable, Callable, Sequence
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


_LISTED_MAX = 10


def listed(chosen: Sequence[str]) -> str:
    """The first of the chosen rows by name, and the number of the others."""
    more = len(chosen) - _LISTED_MAX
    return ", ".join(chosen[:_LISTED_MAX]) + (f" and {more} more" if more > 0 else "")


async def for_each(
    view: View, chosen: Sequence[str], act: Callable[[str], Awaitable[Answer]], done: Done
) -> Result:
    """Do it with each row, whatever becomes of the others; the result is that of `outcome`."""
    answers = [(what, await act(what)) for what in chosen]
    failures = [Failure.of(what, answer) for what, answer in answers if not answer.is_ok]
    return outcome(view, len(chosen), failures, done)


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
