"""How error messages show a received value: quoted, printable, and truncated. Pure."""

from collections.abc import Sequence

CHARACTERS_MAX = 64
TEXT_CHARACTERS_MAX = 2000
NAMED_MAX = 10
"""Names that a message lists."""


def shown(value: str, characters_max: int = CHARACTERS_MAX) -> str:
    """`value` in quotes, with its length when it is longer than `characters_max` characters."""
    if len(value) <= characters_max:
        return repr(value)
    return f"{value[:characters_max]!r}... ({len(value)} characters)"


def cut(text: str, characters_max: int = TEXT_CHARACTERS_MAX) -> str:
    """Truncate an error message, which may quote a value of unbounded length."""
    if len(text) <= characters_max:
        return text
    return f"{text[:characters_max]}... ({len(text)} characters)"


def what_there_is(wanted: str, names: Sequence[str]) -> str:
    """The name that was probably meant, or those that there are.

    >>> what_there_is("Isue", ["Issue", "Redeem"])
    'did you mean Issue?'
    >>> what_there_is("Transfer", ["Issue", "Redeem"])
    'there is Issue, Redeem'
    """
    from difflib import get_close_matches  # noqa: PLC0415  # not at the start of each process

    close = get_close_matches(wanted[: 2 * CHARACTERS_MAX], names[:1000], n=1)
    if close:
        return f"did you mean {close[0]}?"
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return f"there is {', '.join(names[:NAMED_MAX]) or 'none'}{more}"
