"""The sentence with which an overview begins."""

_WORDS = (
    "Nothing needs",
    "One thing needs",
    "Two things need",
    "Three things need",
    "Four things need",
    "Five things need",
    "Six things need",
    "Seven things need",
)


def headline(number: int) -> str:
    """How many things need the reader: `Three things need you`."""
    words = _WORDS[number] if number < len(_WORDS) else f"{number} things need"
    return f"{words} you"
