"""How error messages show a received value: quoted, printable, and truncated. Pure."""

CHARACTERS_MAX = 64
TEXT_CHARACTERS_MAX = 2000


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
