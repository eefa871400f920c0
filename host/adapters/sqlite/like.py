"""SQL's LIKE in time linear in the text: `%` stands for any characters, `_` for one.

Matching is case-sensitive, as in JPA; SQLite's own LIKE ignores case, and its GLOB takes time of
text length times pattern length for each `%`. Here each part between two `%` is searched once, from
the end of the previous part's match: the leftmost match always suffices. A part without `_` is
found by Python's own search; one with `_` by a bit vector with one bit per character, so that a
step takes time proportional to the part's length divided by the bits of a machine word. Pure.
"""

from collections.abc import Callable
from functools import lru_cache

_KEPT_MAX = 64
_LOOK_CHARACTERS = 16 * 1024
"""Characters between two calls of `watch`."""

Search = Callable[[str, int, int, Callable[[], None]], int]
"""From text, start and end to the index after the leftmost match, or -1."""


def like(text: str, pattern: str, watch: Callable[[], None] = lambda: None) -> bool:
    """Whether the whole `text` matches `pattern`.

    Args:
        text: any text.
        pattern: with `%` and `_`, which cannot be escaped.
        watch: called often; an exception of it ends the search.
    """
    watch()
    first, *others = _parts(pattern)
    if not others:
        return len(text) == len(first) and _stands(first, text, 0, watch)
    *inner, last = others
    end = len(text) - len(last)
    if (
        end < len(first)
        or not _stands(first, text, 0, watch)
        or not _stands(last, text, end, watch)
    ):
        return False
    at = len(first)
    for part in inner:
        at = _search_for(part)(text, at, end, watch)
        if at < 0:
            return False
    return True


@lru_cache(maxsize=_KEPT_MAX)
def _parts(pattern: str) -> tuple[str, ...]:
    """The parts between `%`; consecutive `%` count as one."""
    parts = pattern.split("%")
    if len(parts) == 1:
        return (pattern,)
    return (parts[0], *filter(None, parts[1:-1]), parts[-1])


def _stands(part: str, text: str, at: int, watch: Callable[[], None]) -> bool:
    """Whether `part` matches `text` at `at`; `text` must be long enough."""
    if "_" not in part:
        return text.startswith(part, at)
    watch()
    return all(
        wanted in ("_", found)
        for wanted, found in zip(part, text[at : at + len(part)], strict=True)
    )


@lru_cache(maxsize=_KEPT_MAX)
def _search_for(part: str) -> Search:
    return _literal(part) if "_" not in part else _with_gaps(part)


def _literal(part: str) -> Search:
    def search(text: str, start: int, end: int, watch: Callable[[], None]) -> int:
        watch()
        found = text.find(part, start, end)
        return -1 if found < 0 else found + len(part)

    return search


def _with_gaps(part: str) -> Search:
    """Shift-And: bit i of `state` is set if the last i + 1 characters match the part's first."""
    gaps = sum(1 << i for i, character in enumerate(part) if character == "_")
    bits = {
        character: gaps | sum(1 << i for i, other in enumerate(part) if other == character)
        for character in set(part)
    }
    whole = 1 << (len(part) - 1)

    def search(text: str, start: int, end: int, watch: Callable[[], None]) -> int:
        state = 0
        for begin in range(start, end, _LOOK_CHARACTERS):
            watch()
            for index in range(begin, min(begin + _LOOK_CHARACTERS, end)):
                state = (state << 1 | 1) & bits.get(text[index], gaps)
                if state & whole:
                    return index + 1
        return -1

    return search
