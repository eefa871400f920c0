"""Untrusted text, made safe for display in a terminal or on a page."""


def printable(text: str) -> str:
    """`text` with every character that is not printable escaped, on one line.

    The result cannot move a cursor, hide adjacent text, or change the text direction.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
