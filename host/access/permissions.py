"""Permission strings: which action is allowed to whom. Pure.

An action is `METHOD:/api/<version>/path?query`, or `StartFlow:<flow class>`. A permission holds a
regular expression that must match the whole action; any DENY that matches beats every ALLOW.
An ALLOW matches the canonical action as it is written. A DENY matches any spelling of the action
(`host.access.actions`), in the letter case of its pattern or in any, and its `.` matches line ends.
A permission for a virtual node concerns the actions on that node only. Patterns are searched in
linear time, so that no permission can occupy a host: they have no look-around and no back
references.
Source: Corda 5.2 platform, RBAC permission strings; the further spellings of a DENY are ours.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from host.access.actions import Action
from host.access.errors import PermissionInvalidError
from host.domain.ids import ShortHash
from host.domain.linear_pattern import LinearPattern, compiled_pattern
from host.domain.pattern_weight import weight_of
from host.domain.printable import printable
from host.domain.refused import shown

PATTERN_CHARACTERS_MAX = 255
_PATTERN_WEIGHT_MAX = 10_000
"""States of a pattern; Corda's longest, for client request ids, has about 3,500."""
_EVERYTHING = ".*"
_AS_WRITTEN, _ANY_TEXT, _ANY_CASE = "", "(?s)", "(?si)"


class Effect(StrEnum):
    ALLOW = "ALLOW"
    DENY = "DENY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Allows or denies the actions that `pattern` matches as a whole.

    Attributes:
        effect: whether it allows or denies.
        pattern: regular expression of actions.
        virtual_node: the virtual node whose actions it concerns; None for actions everywhere.
    """

    effect: Effect
    pattern: str
    virtual_node: ShortHash | None = None

    def __post_init__(self) -> None:
        """Refuse a pattern that is too long, too heavy or not a regular expression."""
        if self.pattern == _EVERYTHING:
            return  # without the engine of patterns, which most processes never load
        if len(self.pattern) > PATTERN_CHARACTERS_MAX:
            raise PermissionInvalidError(
                f"permission string has {len(self.pattern)} characters, at most"
                f" {PATTERN_CHARACTERS_MAX} are taken"
            )
        if printable(self.pattern) != self.pattern:
            raise PermissionInvalidError("permission string holds characters that cannot be shown")
        weight = weight_of(self.pattern)
        if weight > _PATTERN_WEIGHT_MAX:
            raise PermissionInvalidError(
                f"permission string {shown(self.pattern)} repeats too much: about {weight} states,"
                f" at most {_PATTERN_WEIGHT_MAX} are taken"
            )
        if compiled_pattern(self.pattern) is None or not all(
            _compiled(self.pattern, flags) for flags in (_AS_WRITTEN, _ANY_TEXT, _ANY_CASE)
        ):
            raise PermissionInvalidError(
                f"permission string {shown(self.pattern)} is no regular expression; look-around and"
                " back references are not supported"
            )

    def concerns(self, action: Action) -> bool:
        """Whether the action is on the permission's virtual node, if it names one."""
        return self.virtual_node is None or self.virtual_node == action.node


def is_allowed(permissions: Iterable[Permission], action: Action) -> bool:
    """Whether at least one ALLOW and no DENY matches `action`."""
    allowed = False
    for permission in permissions:
        if not permission.concerns(action):
            continue
        if permission.effect is Effect.DENY:
            if _denies(permission.pattern, action):
                return False
        elif not allowed:
            allowed = _matches(permission.pattern, _AS_WRITTEN, action.allowed_as)
    return allowed


def _denies(pattern: str, action: Action) -> bool:
    # Both: a pattern that excludes letters, such as `[^a-z]+`, matches less without letter case.
    return any(_matches(pattern, flags, action.denied_as) for flags in (_ANY_TEXT, _ANY_CASE))


def _matches(pattern: str, flags: str, texts: Iterable[str]) -> bool:
    compiled = _compiled(pattern, flags)
    return compiled is not None and any(map(compiled.occurs_in, texts))


@lru_cache(maxsize=1024)
def _compiled(pattern: str, flags: str) -> LinearPattern | None:
    """The pattern of whole texts; None where it is one only on its own, as with a comment."""
    return compiled_pattern(rf"{flags}\A(?:{pattern})\z")


ALLOW_ALL = Permission(effect=Effect.ALLOW, pattern=_EVERYTHING)
