"""Answers of hosts as commands read them: JSON of a known shape, or a refusal that says so."""

import json
from typing import Any, TypeVar

import msgspec

from host.tools.client.cluster_facts import ClusterAnswerError

T = TypeVar("T")


def parsed(data: bytes, place: str) -> Any:
    """The JSON value of an answer.

    Raises:
        ClusterAnswerError: it is no JSON.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ClusterAnswerError(f"{place} answers no JSON: {error}") from error


def shaped(value: object, shape: type[T], place: str) -> T:
    """The parts of an answer that `shape`, a TypedDict, names.

    Raises:
        ClusterAnswerError: one is missing, or of another type; names its JSON path.
    """
    try:
        return msgspec.convert(value, shape)
    except (msgspec.ValidationError, RecursionError, UnicodeError) as error:
        raise ClusterAnswerError(f"{place} answers another shape: {error}") from error


class PageCursors:
    """The cursors of a list's pages: a host that never ends a list is refused.

    Args:
        place: of the list, for the refusal.
    """

    def __init__(self, place: str) -> None:
        self._place = place
        self._seen: set[str] = set()

    def check(self, cursor: str | None) -> None:
        """Note the cursor of the next page; None on the last.

        Raises:
            ClusterAnswerError: it came before, or there are too many pages.
        """
        if cursor is None:
            return
        if cursor in self._seen or len(self._seen) >= _PAGES_MAX:
            raise ClusterAnswerError(f"{self._place} answers a list without an end")
        self._seen.add(cursor)


_PAGES_MAX = 100_000
