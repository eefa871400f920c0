"""The files of one log: entries go to `audit.log`; `audit-<number>.log` are its older parts.

The number is that of the file's first entry, with 15 digits, so that names sort as entries do.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LOG_NAME, HEAD_NAME, REPEATS_NAME = "audit.log", "audit.head", "audit.repeats"
NEW_NAME = "audit.new"
"""The next `audit.log` while it is being made; an existing one was left by a process that died."""
_NAME = re.compile(r"audit-([0-9]{15})\.log")


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """An older part of a log; no entries are added to it."""

    first: int
    path: Path


def segment_name(first: int) -> str:
    return f"audit-{first:015}.log"


def number_of(path: Path) -> int | None:
    """Number of the first entry of an older part, by its name; None for another file."""
    match = _NAME.fullmatch(path.name)
    return None if match is None else int(match[1])


def segments(folder: Path) -> Sequence[Segment]:
    """The older parts of the log in a folder, in order.

    A part that is still linked as `audit.log` is left out: a process died while it made the next
    file.

    Raises:
        OSError: the folder cannot be read.
    """
    try:
        paths = list(folder.iterdir())
    except FileNotFoundError:
        return ()
    log = folder / LOG_NAME
    numbered = [(number_of(path), path) for path in paths]
    found = [Segment(first, path) for first, path in numbered if first is not None]
    return sorted(each for each in found if not _is_same(each.path, log))


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except FileNotFoundError:
        return False
