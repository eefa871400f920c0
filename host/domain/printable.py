"""Untrusted text, made safe for display in a terminal or on a page."""


def printable(text: str) -> str:
    """`text` with every character that is not printable escaped, on one line.

    The result cannot move a cursor, hide adjacent text, or change the text direction.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def printable_lines(text: str) -> str:
    """`printable` for each line of a text that may have several."""
    return "\n".join(map(printable, text.split("\n")))
