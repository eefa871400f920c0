"""Reads a log from its start and finds the first entry that is not as it was written.

A log that was cut, was replaced or lost its head continues with an entry `recovery`. Such a log
fails verification however many valid entries follow, until the cut is acknowledged.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from host.adapters.files.regular_files import open_regular
from host.domain.errors import InvalidInputError
from host.nodes.audit_log import chain
from host.nodes.audit_log.head import LINE_BYTES, Head, parse_head
from host.nodes.audit_log.problems import Anchor, Problem
from host.nodes.audit_log.reading import Reading, lines_of
from host.nodes.audit_log.segments import (
    HEAD_NAME,
    LOG_NAME,
    REPEATS_NAME,
    Segment,
    number_of,
    segments,
)


class AuditLogUnreadableError(InvalidInputError):
    """There is no audit log at this path, or it cannot be read."""

    code = "audit-log-unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The result of a verification.

    Attributes:
        parts: how many files the log has.
        entries: how many are valid, up to the problem.
        holding: short hash of the node, as the log names it.
        last: the last valid entry, to be kept as an anchor; None for an empty log.
        recovered: entries that report a torn line, or that the host was restored.
        cuts: entries that report missing entries, and are not acknowledged.
        acknowledged: such entries that a later entry acknowledges.
        origins: ends of the node's logs at the clusters that it came from, as the log names them.
        counted: refusals that are counted beside the log and have no entry in it yet.
        authenticated: whether the MACs were checked, which needs the host's key.
        problem: what is wrong; if nothing else is, the first cut.
    """

    file: Path
    parts: int
    entries: int
    holding: str | None
    last: Anchor | None
    recovered: int
    cuts: Sequence[Problem]
    acknowledged: Sequence[Problem]
    origins: Sequence[Anchor]
    counted: int
    authenticated: bool
    problem: Problem | None


def verify_log(
    file: Path,
    *,
    key: bytes | None,
    node: str | None = None,
    anchor: Anchor | None = None,
    archive: Path | None = None,
) -> Verification:
    """Verify the log in `file` with its older parts, and its end by the head file beside it.

    Args:
        file: `audit.log`, or one older part alone.
        key: the host's key; without it, only the chain is checked.
        node: short hash of the node that the log must belong to.
        anchor: an entry that must be in it.
        archive: a folder that older parts were moved to.

    Raises:
        AuditLogUnreadableError: it cannot be read.
    """
    head_file = file.with_name(HEAD_NAME)
    try:
        with _locked(file, head_file) as stream:
            alone = number_of(file)
            head = None if alone is not None else _head(head_file)
            older = _parts(file, archive) if file.name == LOG_NAME else ()
            reading = Reading(key, node, anchor, head)
            for part in older:
                with open_regular(part.path, follow=True) as content:
                    reading.read_part(content, part.first)
            reading.read_part(stream, alone)
            if alone is None:
                reading.judge_end()
                reading.judge_counts(file.with_name(REPEATS_NAME))
    except OSError as error:
        raise AuditLogUnreadableError(f"{file}: {error.strerror}") from error
    return Verification(
        file=file,
        parts=len(older) + 1,
        entries=reading.entries,
        holding=reading.holding,
        last=reading.last,
        recovered=reading.recovered,
        cuts=tuple(reading.cuts),
        acknowledged=tuple(reading.acknowledged),
        origins=tuple(reading.origins),
        counted=reading.counted,
        authenticated=key is not None,
        problem=reading.problem or next(iter(reading.cuts), None),
    )


def read_entries(
    file: Path, archive: Path | None = None, note_other: Callable[[], object] = lambda: None
) -> Iterator[dict[str, Any]]:
    """The entries of a log and its older parts, unverified.

    Args:
        file: `audit.log`, or one older part alone.
        archive: a folder that older parts were moved to.
        note_other: called for each line that is no entry; not for the end of a log that a host
            is writing.

    Raises:
        AuditLogUnreadableError: it cannot be read.
    """
    try:
        older = _parts(file, archive) if file.name == LOG_NAME else ()
        for path in (*(part.path for part in older), file):
            with open_regular(path, follow=True) as stream:
                is_log = False
                for line in lines_of(stream):
                    entry = chain.parse_line(line.rstrip(b"\n"))
                    if entry is not None:
                        is_log = True
                        yield entry
                    elif line.endswith(b"\n") or not is_log:  # else a host may be writing it
                        note_other()
    except OSError as error:
        raise AuditLogUnreadableError(f"{file}: {error.strerror}") from error


def _parts(file: Path, archive: Path | None) -> Sequence[Segment]:
    """The older parts of a log, beside it or archived; if both, the one beside it."""
    parts = {} if archive is None else {part.first: part for part in segments(archive)}
    parts |= {part.first: part for part in segments(file.parent)}
    return [parts[first] for first in sorted(parts)]


@contextmanager
def _locked(file: Path, head_file: Path) -> Iterator[BinaryIO]:
    """The log, locked against additions and rotation.

    A missing log whose head exists is read as an empty one.
    """
    while True:
        is_gone = not file.exists() and head_file.exists()
        with _opened(Path(os.devnull) if is_gone else file) as stream:
            # A host that adds lines holds the lock until they are complete.
            fcntl.flock(stream, fcntl.LOCK_SH)
            if is_gone or os.path.samestat(os.fstat(stream.fileno()), file.stat()):
                yield stream
                return


def _opened(file: Path) -> BinaryIO:
    return file.open("rb") if file == Path(os.devnull) else open_regular(file, follow=True)


def _head(file: Path) -> Head | None:
    """The head beside a log; None when it is missing."""
    try:
        with open_regular(file, follow=True) as stream:
            return parse_head(stream.read(2 * LINE_BYTES))
    except FileNotFoundError:
        return None
