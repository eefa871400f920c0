"""Permission strings: which action is allowed to whom. Pure.

An action is `METHOD:/api/<version>/path?query`, or `StartFlow:<flow class>`. A permission holds a
regular expression that must match the whole action; any DENY that matches beats every ALLOW.
Source: Corda 5.2 platform, RBAC permission strings.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from host.rbac.errors import UserInvalidError

_PATTERN_CHARACTERS_MAX = 255


class Effect(StrEnum):
    ALLOW = "ALLOW"
    DENY = "DENY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Allows or denies the actions that `pattern` matches as a whole."""

    effect: Effect
    pattern: str

    def __post_init__(self) -> None:
        """Refuse a pattern that is too long or no regular expression."""
        if len(self.pattern) > _PATTERN_CHARACTERS_MAX:
            raise UserInvalidError(
                f"permission string is longer than {_PATTERN_CHARACTERS_MAX} characters"
            )
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise UserInvalidError(
                f"permission string {self.pattern!r} is no regular expression: {error}"
            ) from error


ALLOW_ALL = Permission(effect=Effect.ALLOW, pattern=".*")


def is_allowed(permissions: Iterable[Permission], action: str) -> bool:
    """Whether some ALLOW and no DENY matches `action`."""
    effects = {p.effect for p in permissions if _compiled(p.pattern).fullmatch(action)}
    return effects == {Effect.ALLOW}


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
