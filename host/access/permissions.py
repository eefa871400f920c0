"""Permission strings: which action is allowed to whom. Pure.

An action is `METHOD:/api/<version>/path?query`, or `StartFlow:<flow class>`. A permission holds a
regular expression that must match the whole action; any DENY that matches beats every ALLOW.
An ALLOW matches the canonical action as it is written. A DENY matches any spelling of the action
(`host.access.actions`), in the letter case of its pattern or in any, and its `.` matches line ends.
Source: Corda 5.2 platform, RBAC permission strings; the further spellings of a DENY are ours.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from host.access.actions import Action
from host.access.errors import UserInvalidError

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
        """Refuse a pattern that is too long or not a regular expression."""
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


def is_allowed(permissions: Iterable[Permission], action: Action) -> bool:
    """Whether at least one ALLOW and no DENY matches `action`."""
    allowed = False
    for permission in permissions:
        if permission.effect is Effect.DENY:
            if _denies(permission.pattern, action):
                return False
        elif not allowed:
            pattern = _compiled(permission.pattern)
            allowed = any(pattern.fullmatch(text) for text in action.allowed_as)
    return allowed


def _denies(pattern: str, action: Action) -> bool:
    # Both: a pattern that excludes letters, such as `[^a-z]+`, matches less without letter case.
    return any(
        compiled.fullmatch(text)
        for compiled in (
            _compiled(pattern, re.DOTALL),
            _compiled(pattern, re.DOTALL | re.IGNORECASE),
        )
        for text in action.denied_as
    )


@lru_cache(maxsize=4096)
def _compiled(pattern: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile(pattern, flags)
