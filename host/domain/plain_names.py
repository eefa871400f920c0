"""Names of JSON fields that can be part of an SQL text."""

import re
from collections.abc import Iterable

_PLAIN_NAME = re.compile("[A-Za-z0-9_.-]+")


def has_plain_names(path: Iterable[str | int]) -> bool:
    """Whether a path can be part of an SQL text, and so of an index: the others are bound."""
    return all(isinstance(key, int) or _PLAIN_NAME.fullmatch(key) is not None for key in path)
