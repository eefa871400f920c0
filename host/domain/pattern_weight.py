"""Estimates the work of a regular expression per byte of input, from its text alone. Pure.

In the worst case, a linear-time engine takes one step for each byte and each state of its
automaton, and counted repetitions multiply states: `(.{0,40}a){20}` has about ten thousand. The
weight is an upper estimate of the number of states, accurate to the order of magnitude.
"""

import re

_LITERAL, _DOT, _CLASS, _DIGITS, _WORDS = 1, 10, 10, 100, 1000
"""`.` and Unicode's classes are ranges of UTF-8 sequences: `\\w` has about a thousand."""
_FOLDING = 4
"""Maximum number of case variants of a character."""
_TOKEN = re.compile(
    r"(?P<group>\((?:\?(?:P?<[^>]*>|[a-zA-Z-]*:|[a-zA-Z-]+(?=\))|[^)])?)?)|(?P<end>\))"
    r"|(?P<count>\{(?P<least>\d{1,9})(?:,(?P<most>\d{0,9}))?\})|(?P<again>[*+?])|(?P<dot>\.)"
    r"|(?P<words>\\[wWpP])|(?P<digits>\\[dDsS])|(?P<escape>\\.)"
    r"|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*+\]?)|(?P<other>.)",
    re.DOTALL,
)
_IN_SET = re.compile(r"(?P<words>\\[wWpP])|(?P<digits>\\[dDsS])|.", re.DOTALL)
_WEIGHTS = {"dot": _DOT, "words": _WORDS, "digits": _DIGITS}
_IGNORES_CASE = re.compile(r"\(\?[a-zA-Z]*i")


def weight_of(pattern: str) -> int:
    """An upper estimate of the states of `pattern`, at least 1."""
    groups: list[tuple[int, int]] = []
    total, last = 1, 0
    for token in _TOKEN.finditer(pattern):
        kind = token.lastgroup if token["count"] is None else "count"
        if kind == "count":
            most = token["most"] if token["most"] is not None else token["least"]
            times = max(1, int(token["least"]) + 1 if most == "" else int(most))
            total += last * (times - 1)
            last *= times
        elif kind == "group":
            groups.append((total, last))
            total, last = 1, 0
        elif kind == "end" and groups:
            before, _ = groups.pop()
            total, last = before + total, total
        elif kind != "again":
            last = _weight_of_set(token[0]) if kind == "set" else _weight(token)
            total += last
    total += sum(before for before, _ in groups)
    return total * _FOLDING if _IGNORES_CASE.search(pattern) else total


def _weight(token: re.Match[str]) -> int:
    return _WEIGHTS.get(token.lastgroup or "", _LITERAL)


def _weight_of_set(text: str) -> int:
    return _CLASS + sum(map(_weight, _IN_SET.finditer(text)))
