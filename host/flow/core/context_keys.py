"""Context keys that are reserved for the platform, in all their spellings. Pure."""

import unicodedata

CONTEXT_RESERVED = "corda."
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
"""Invisible characters that Unicode does not class as format characters."""


def is_reserved(key: str) -> bool:
    """Whether a key is reserved after folding case and width and removing invisible characters."""
    seen = "".join(c for c in unicodedata.normalize("NFKC", key) if not _is_invisible(c))
    return seen.strip().casefold().startswith(CONTEXT_RESERVED)


def _is_invisible(character: str) -> bool:
    return (
        unicodedata.category(character) in {"Cf", "Cc"}
        or character in _INVISIBLE
        or "\ufe00" <= character <= "\ufe0f"
        or "\U000e0100" <= character <= "\U000e01ef"
    )
