"""The table of the pages."""

from collections.abc import Awaitable, Callable, Mapping

from host.console.actions import QUESTIONS
from host.console.forms import Question
from host.console.pages import (
    dead_letter,
    dead_letters,
    flow,
    flows,
    ledger,
    log,
    networks,
    node,
    nodes,
    overview,
    packages,
    people,
    searched,
    settings,
)
from host.console.questions import asked
from host.console.view import Page, View

PageOf = Callable[[View], Awaitable[Page]]


def _asking(question: Callable[[View], Awaitable[Question]]) -> PageOf:
    async def ask(view: View) -> Page:
        return asked(view, await question(view))

    return ask


PAGES: Mapping[str, PageOf] = {
    "": overview.show,
    "/search": searched.show,
    **{path: _asking(question) for path, question in QUESTIONS.items()},
    "/nodes": nodes.show,
    "/nodes/{node}": node.show,
    "/flows": flows.show,
    "/flows/{node}/{request}": flow.show,
    "/dead-letters": dead_letters.show,
    "/dead-letters/{letter}": dead_letter.show,
    "/log": log.show,
    "/packages": packages.show,
    "/packages/{checksum}": packages.show_one,
    "/people": people.show,
    "/people/{login}": people.show_one,
    "/settings": settings.show,
    "/settings/{name}": settings.show_one,
    "/networks": networks.show,
    "/networks/{node}": networks.show_one,
    "/ledger": ledger.choose,
    "/ledger/{node}": ledger.show,
    "/ledger/{node}/{transaction}": ledger.show_one,
}
"""Path below `/console` -> the page."""
