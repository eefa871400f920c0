"""Which of two package versions is the newer one, as Corda orders identifiers.

A version is `[epoch:]version[-release]`. Each part is compared segment by segment, digits as
numbers and letters as text; a number is newer than letters, and letters at the end make a version
older (`1.0beta` before `1.0`). A release counts only if both versions have one.

Source: corda-runtime-os `versioning/VersionComparator.kt`, and the cases of its tests.
"""

import re
from dataclasses import dataclass

_SEGMENT = re.compile(r"([^0-9A-Za-z]*)([0-9]+|[A-Za-z]+)")
_SEPARATORS = re.compile(r"[^0-9A-Za-z]*")


@dataclass(frozen=True, slots=True)
class _Parts:
    epoch: str
    version: str
    release: str | None


def compare_versions(left: str | None, right: str | None) -> int:
    """-1, 0 or 1 as `left` is older than, as new as, or newer than `right`; None is the oldest."""
    if left is None or right is None:
        return (left is not None) - (right is not None)
    mine, theirs = _parts(left), _parts(right)
    order = _compare(mine.epoch, theirs.epoch) or _compare(mine.version, theirs.version)
    if order or mine.release is None or theirs.release is None:
        return order
    return _compare(mine.release, theirs.release)


def _parts(text: str) -> _Parts:
    epoch, colon, rest = text.partition(":")
    if not colon or (epoch and not (epoch.isascii() and epoch.isdigit())):
        epoch, rest = "0", text
    version, dash, release = rest.rpartition("-")
    if not dash:
        return _Parts(epoch or "0", rest, None)
    return _Parts(epoch or "0", version, release)


def _compare(left: str, right: str) -> int:
    mine, theirs = 0, 0
    while mine < len(left) and theirs < len(right):
        one, other = _SEGMENT.match(left, mine), _SEGMENT.match(right, theirs)
        if one is None or other is None:
            # One of them has only separators left, which do not count.
            mine, theirs = _after_separators(left, mine), _after_separators(right, theirs)
            break
        order = _sign(len(one[1]), len(other[1])) or _compare_segments(one[2], other[2])
        if order:
            return order
        mine, theirs = one.end(), other.end()
    return _compare_ends(left[mine:], right[theirs:])


def _after_separators(text: str, position: int) -> int:
    match = _SEPARATORS.match(text, position)
    return match.end() if match else position


def _compare_segments(left: str, right: str) -> int:
    if left.isdigit() != right.isdigit():
        return 1 if left.isdigit() else -1
    if left.isdigit():
        left, right = left.lstrip("0"), right.lstrip("0")
        return _sign(len(left), len(right)) or (left > right) - (left < right)
    return (left > right) - (left < right)


def _compare_ends(left: str, right: str) -> int:
    """Compares the rest when one version has no more segments: letters are older than none."""
    if left:
        return -1 if left[0].isalpha() else 1
    if right:
        return 1 if right[0].isalpha() else -1
    return 0


def _sign(left: int, right: int) -> int:
    return (left > right) - (left < right)
