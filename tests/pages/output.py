"""Does a page show what its commands print?"""

import re

_ANY_LINES = "\0"


def shows(expected: str, printed: str, *, varies: bool = False) -> bool:
    """Whether the lines of `expected` stand together in `printed`.

    Args:
        expected: of the page; `…` stands for anything within a line, or for whole lines.
        printed: what the commands printed.
        varies: numbers and hexadecimal words are equal to all others.
    """
    if not expected.strip():
        return False  # it would stand anywhere
    pattern = "".join(_line(line, varies=varies) for line in expected.strip("\n").split("\n"))
    text = re.sub(r"[ \t]+\n", "\n", printed.replace("\r", "") + "\n")
    return re.search(rf"(?:\A|(?<=\n)){pattern}", text) is not None


def _line(line: str, *, varies: bool) -> str:
    if line.strip() in {"…", "..."}:
        return r"(?:.*\n)*?"
    parts = re.split("…", line.rstrip())
    return ".*?".join(_words(part, varies=varies) for part in parts) + r"\n"


def _words(text: str, *, varies: bool) -> str:
    if not varies:
        return re.escape(text)
    words = re.split(r"([0-9A-Fa-f]{8,}|[0-9]+| +)", text)
    return "".join(_varied(word) if n % 2 else re.escape(word) for n, word in enumerate(words))


def _varied(word: str) -> str:
    if word.isspace():
        return " +"  # columns move with the numbers in them
    return "[0-9A-Fa-f]+" if len(word) >= 8 else "[0-9]+"
