"""Text of others, as a terminal or a page may show it."""


def printable(text: str) -> str:
    """`text` with every character that is not printable escaped, on one line.

    Nothing of it then moves a cursor, hides what stands beside it, or turns its direction.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
