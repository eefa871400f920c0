"""Moves older parts of a log to another folder, which frees room for new entries.

No entry is lost: the part is first copied whole to the other folder, then an entry of the log
records its digest and last entry, and only then the original is deleted. A process that dies in
between leaves the part in both places; the next run completes the move.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from host.adapters.files.durable_files import write_durably
from host.domain.errors import ConflictError, InvalidInputError, StorageError
from host.domain.ids import HoldingIdentity
from host.domain.x500 import MemberX500Name
from host.nodes.audit_log import chain
from host.nodes.audit_log.node_log import NodeLog
from host.nodes.audit_log.segments import LOG_NAME, Segment, segments
from host.nodes.audit_log.verification import read_entries, verify_log
from host.ports.clock import Clock


class AuditLogNotGoodError(ConflictError):
    """An audit log that does not verify is not archived: its files are evidence."""

    code = "audit-log-not-good"


class AuditArchiveDiffersError(InvalidInputError):
    """The archive has a different file under the name of a part of the log."""

    code = "audit-archive-differs"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedPart:
    """A part that was moved. `first` and `last` are the numbers of its entries."""

    path: Path
    first: int
    last: int
    bytes: int


def archive_log(folder: Path, to: Path, *, key: bytes, clock: Clock) -> Sequence[ArchivedPart]:
    """Move the older parts of the log in a node's folder to another folder.

    Args:
        folder: the node's; a host may be adding to the log.
        to: created if it does not exist; may hold parts that were moved before.
        key: the host's key.
        clock: the time of the entries.

    Raises:
        AuditLogNotGoodError: the log does not verify.
        AuditArchiveDiffersError: the archive has a file of that name with other content.
        StorageError: a folder cannot be written.
    """
    log = folder / LOG_NAME
    found = verify_log(log, key=key, archive=to)
    if found.problem is not None and found.problem not in found.cuts:
        raise AuditLogNotGoodError(
            f"{log}: entry {found.problem.seq}: {found.problem.message}", path=str(log)
        )
    parts = segments(folder)
    if not parts:
        return ()
    known = {
        (entry["firstSeq"], entry["lastSeq"])
        for entry in read_entries(log)
        if entry["kind"] == chain.ARCHIVED
    }
    node_log = NodeLog(folder, _holding(parts[0]), key)
    try:
        return [_moved(part, to, node_log, known, clock) for part in parts]
    except OSError as error:
        raise StorageError(f"{error.filename}: {error.strerror}") from error
    finally:
        node_log.close()


def _moved(
    part: Segment, to: Path, log: NodeLog, known: set[tuple[int, int]], clock: Clock
) -> ArchivedPart:
    content = part.path.read_bytes()
    last = chain.parse_line(content.rstrip(b"\n").rpartition(b"\n")[2]) or {}
    target = to / part.path.name
    _place(content, target)
    numbers = (part.first, int(last["seq"]))
    if numbers not in known:
        entry = chain.archived(
            first=part.first,
            last=numbers[1],
            last_hash=str(last["hash"]),
            content=chain.digest_of(content),
            at=clock.now_ms(),
        )
        log.add((entry,), now=clock.now_ms())
    log.sync(clock.now_ms())
    part.path.unlink()
    return ArchivedPart(path=target, first=part.first, last=numbers[1], bytes=len(content))


def _place(content: bytes, target: Path) -> None:
    """Write the content durably under its name; an existing file must have the same content."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if target.exists():
        if target.read_bytes() != content:
            raise AuditArchiveDiffersError(f"{target} has other content", path=str(target))
        return
    write_durably(target, [content])


def _holding(part: Segment) -> HoldingIdentity:
    first = next(read_entries(part.path))
    return HoldingIdentity(
        x500_name=MemberX500Name.parse(str(first["x500Name"])), group_id=str(first["groupId"])
    )
