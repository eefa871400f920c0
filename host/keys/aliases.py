"""Aliases of keys."""

import re

from host.keys.errors import KeyAliasInvalidError

_ALIAS = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,128}")


def check_alias(alias: str) -> None:
    """Refuse a text that is no alias.

    Raises:
        KeyAliasInvalidError: it has other characters, or other lengths.
    """
    if not _ALIAS.fullmatch(alias):
        raise KeyAliasInvalidError(
            f"key alias {alias[:128]!r}: expected 1 to 128 letters, digits, '.', '-' or '_',"
            " and neither '.' nor '..'"
        )
