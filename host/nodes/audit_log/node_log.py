"""One node's log on disk: append-only, under a lock that processes share.

A line is written to the operating system before its call is answered, so it survives the death of
the process at any instruction; `sync` flushes added lines to disk, and is called outside steps. A
power failure loses at most the lines added since the last `sync`.

When a log is opened, it is compared with its head (`host.nodes.audit_log.head`): missing entries
are reported by an entry `recovery`, which `verify` counts as a cut until it is acknowledged. A file
that has reached its maximum length becomes an older part of the log, and a new file continues it.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import structlog

from host.adapters.files.regular_files import open_regular
from host.adapters.os.system import boot_id
from host.domain.errors import StorageError
from host.domain.ids import EpochMs, HoldingIdentity
from host.domain.json import JsonValue
from host.nodes.audit_log import chain, refusals
from host.nodes.audit_log.head import Head, recovery
from host.nodes.audit_log.known_end import recovered
from host.nodes.audit_log.known_entries import KnownEntries
from host.nodes.audit_log.log_files import LogFiles
from host.nodes.audit_log.problems import Anchor
from host.nodes.audit_log.segments import HEAD_NAME, LOG_NAME, segments
from host.ports.audit_log import PrivilegedCall
from host.ports.live import Fixed, Live

__all__ = ["HEAD_NAME", "LOG_NAME", "AuditLogDamagedError", "NodeLog"]

SEGMENT_BYTES = 16 * 1024 * 1024
_TAIL_BYTES = 4 * 1024 * 1024
"""How many bytes from the end a log is read when it is opened, to recognise repeated calls."""
_READ_BYTES = 1024 * 1024

_log = structlog.get_logger("cordbox.audit")


_SEGMENT = Fixed(SEGMENT_BYTES)


class AuditLogDamagedError(StorageError):
    """A node's audit log is not as this host left it; `cordbox audit log verify` gives details."""

    code = "audit-log-damaged"


class NodeLog:
    """An open log. Thread-safe; several processes may have the same log open.

    Args:
        folder: the node's own.
        holding: the node's holding identity.
        key: authenticates entries.
        segment_bytes: a file of this length is rotated.
        boot: boot id of the machine.
        known_end: an entry that the registers name as part of the log, None when they have none.

    Raises:
        StorageError: the files cannot be opened.
    """

    def __init__(
        self,
        folder: Path,
        holding: HoldingIdentity,
        key: bytes,
        *,
        segment_bytes: Live[int] = _SEGMENT,
        boot: str | None = None,
        known_end: Callable[[], Anchor | None] = lambda: None,
    ) -> None:
        self._holding = holding
        self._key = key
        self._segment_bytes = segment_bytes
        self._boot = boot_id() if boot is None else boot
        self._known_end = known_end
        self._synced: Anchor | None = None
        self._lock = threading.Lock()
        self._known = KnownEntries()
        self._is_loaded = self._is_dirty = self._has_counts = False
        self._position = self._first = 0
        self._seq, self._hash = -1, chain.NO_HASH
        self._files = LogFiles(folder, key, self._boot)

    def append(self, call: PrivilegedCall, *, now: EpochMs, has_room: bool = True) -> bool:
        """Add the call, unless the flow repeats a call that is in the log with the same outcome.

        A refusal equal to an earlier one is counted instead.

        Args:
            call: the call.
            now: the time.
            has_room: False for a log that has reached its limit: refusals are counted together.

        Returns:
            Whether it was added or counted.

        Raises:
            StorageError: the log cannot be written.
            AuditLogDamagedError: another program changed it.
        """
        with self._lock, self._exclusive():
            self._prepare(now)
            if self._known.has_call(call):
                return False
            if refusals.is_refusal(call):
                is_new = self._refused(call, now, has_room=has_room)
            else:
                self._add(chain.call_content(call, at=now))
                is_new = True
            self._rotate_if_long(now)
            return is_new

    def add(self, contents: Sequence[Mapping[str, JsonValue]], *, now: EpochMs) -> None:
        """Add entries about the log itself.

        Raises:
            StorageError: the log cannot be written.
            AuditLogDamagedError: another program changed it.
        """
        with self._lock, self._exclusive():
            self._prepare(now)
            self._add(*contents)

    def add_origins(self, ends: Sequence[Anchor], *, now: EpochMs) -> None:
        """Add an entry for each log of the node at the cluster that it came from; once.

        Raises:
            StorageError: the log cannot be written.
        """
        with self._lock, self._exclusive():
            self._prepare(now)
            new = [end for end in ends if not self._known.has_origin(end)]
            self._add(*(chain.arrived(of=end.seq, of_hash=end.hash, at=now) for end in new))

    def open_now(self, *, now: EpochMs) -> None:
        """Compare the log with its head, and add an entry for each difference.

        Raises:
            StorageError: the log cannot be read or written.
            AuditLogDamagedError: its last lines are not valid entries.
        """
        self.add((), now=now)

    def sync(self, now: EpochMs, *, all_counts: bool = False) -> None:
        """Sync added lines to disk; calls may be added meanwhile.

        Counted refusals get their entry after a minute, or at once with `all_counts`.

        Raises:
            StorageError: it cannot be written.
        """
        with self._lock:
            if self._has_counts or all_counts:
                with self._exclusive():
                    self._prepare(now)
                    self._tell_counts(now, all_counts=all_counts)
            is_dirty, self._is_dirty = self._is_dirty, False
            if not is_dirty:
                return
            # Another thread may rotate meanwhile, and close this file.
            files, seq, digest = self._files.duplicate(), self._seq, self._hash
        try:
            with closing(files):
                files.sync(seq, digest)
            with self._lock:
                self._synced = Anchor(seq=seq, hash=digest)
        except StorageError:
            with self._lock:
                self._is_dirty = True
            raise

    def take_synced(self) -> Anchor | None:
        """The newest entry that this object synced to disk since the last call, if any."""
        with self._lock:
            synced, self._synced = self._synced, None
        return synced

    def close(self) -> None:
        """Close the files; counts of refusals stay in their file beside the log."""
        with self._lock, closing(self._files):
            if self._is_dirty:
                self._files.sync(self._seq, self._hash)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        with self._files.exclusive() as is_changed:
            self._is_loaded = self._is_loaded and not is_changed
            yield

    def _prepare(self, now: EpochMs) -> None:
        """Update the known end of the log, and add entries about damage. The lock must be held."""
        head = None if self._is_loaded else self._files.head()
        torn = self._catch_up() if self._is_loaded else self._load()
        if torn:
            os.ftruncate(self._files.log, self._position)
        is_first = self._seq < 0
        # In one write, before the head is replaced: after a crash in between, the same entries are
        # added again.
        self._add(*self._contents_before(head, torn, now))
        self._is_loaded = True
        if is_first:
            self._files.sync(self._seq, self._hash)
            self._files.sync_folder()

    def _contents_before(
        self, head: Head | None, torn: bytes, now: EpochMs
    ) -> Sequence[Mapping[str, JsonValue]]:
        """The entries to add before the next call; `head` when this process opens the log first."""
        contents: list[Mapping[str, JsonValue]] = []
        path = str(self._files.path)
        if self._seq < 0:
            contents.append(chain.genesis(self._holding, at=now))
        elif self._position == 0:
            contents.append(chain.segment(self._holding, at=now))
        if torn:
            _log.warning("audit-log-torn-line", path=path, bytes=len(torn))
            contents.append(chain.torn_line(torn, at=now))
        if head is None:
            return contents
        found = recovery(
            head, last=self._seq, hash_at=self._hash_at, key=self._key, boot=self._boot, at=now
        )
        if found is None:
            found = self._missed_by_registers(now)
        if found is not None:
            contents.append(found)
            reported = {name: value for name, value in found.items() if name not in {"kind", "at"}}
            _log.warning("audit-log-recovery", path=path, last_seq=self._seq, **reported)
        return contents

    def _missed_by_registers(self, now: EpochMs) -> dict[str, JsonValue] | None:
        """The entry for a log that was lost or reset to an older state with its head."""
        end = self._known_end()
        if end is None or self._known.has_end(end):
            return None
        if end.seq <= self._seq:
            # A part that was moved to an archive cannot be read here.
            if self._hash_at(end.seq) in {None, end.hash}:
                return None
            return recovered(chain.Cause.LOG_REPLACED, end, at=now)
        return recovered(chain.Cause.LOG_CUT, end, at=now)

    def _load(self) -> bytes:
        """Read the end of the log from its files; returns a torn last line, if any."""
        self._seq, self._hash = -1, chain.NO_HASH
        self._position = self._tail_start(self._files.log, self._files.size())
        older = segments(self._files.folder)
        if older and self._position == 0:
            self._load_older(older[-1].path)
        first = os.pread(self._files.log, chain.LINE_BYTES_MAX, 0).partition(b"\n")[0]
        entry = chain.parse_line(first) or {}
        number = entry.get("seq")
        self._first = number if isinstance(number, int) else self._seq + 1
        torn = self._catch_up()
        runs = self._files.runs()
        self._has_counts = any(run.count for run in runs.runs)
        for run in runs.runs:
            if run.count and self._known.has_count(run.digest):
                # The process crashed between adding the entry and this call.
                runs = refusals.reported(runs, run)
                self._files.write_runs(runs)
        return torn

    def _load_older(self, path: Path) -> None:
        with open_regular(path) as stream:
            descriptor = stream.fileno()
            stream.seek(self._tail_start(descriptor, os.fstat(descriptor).st_size))
            for line in stream:
                self._take(line.removesuffix(b"\n"))

    def _tail_start(self, descriptor: int, size: int) -> int:
        """The offset where reading starts: the start of a line, far enough back."""
        start = max(0, size - _TAIL_BYTES)
        if start == 0:
            return 0
        piece = os.pread(descriptor, chain.LINE_BYTES_MAX, start)
        return start + piece.find(b"\n") + 1

    def _catch_up(self) -> bytes:
        """Read lines that other processes added; returns a torn last line, if any."""
        size = self._files.size()
        if size < self._position:
            raise self._damaged(f"{size} bytes, {self._position} were written")
        rest = b""
        while self._position + len(rest) < size:
            rest += os.pread(self._files.log, _READ_BYTES, self._position + len(rest))
            *lines, rest = rest.split(b"\n")
            for line in lines:
                self._take(line)
                self._position += len(line) + 1
            if len(rest) > chain.LINE_BYTES_MAX:
                raise self._damaged("a line is too long")
        return rest

    def _take(self, line: bytes) -> None:
        entry = chain.parse_line(line)
        if entry is None or not isinstance(entry.get("seq"), int):
            raise self._damaged("a line is no entry")
        if self._seq >= 0 and (entry["seq"], entry.get("previous")) != (self._seq + 1, self._hash):
            raise self._damaged(f"entry {entry['seq']} does not follow entry {self._seq}")
        self._seq, self._hash = entry["seq"], str(entry.get("hash"))
        self._known.add(entry)

    def _add(self, *contents: Mapping[str, JsonValue]) -> None:
        """Add entries, all or none, and then set the head."""
        if not contents:
            return
        added, seq, digest = [], self._seq, self._hash
        for content in contents:
            entry = chain.sealed(content, seq=seq + 1, previous=digest, key=self._key)
            seq, digest = seq + 1, str(entry["hash"])
            added.append(entry)
        text = b"".join(chain.line_of(entry) for entry in added)
        self._files.append(text, position=self._position)
        self._position += len(text)
        self._seq, self._hash = seq, digest
        for entry in added:
            self._known.add(entry)
        self._files.write_head(seq, digest)
        self._is_dirty = True

    def _refused(self, call: PrivilegedCall, now: EpochMs, *, has_room: bool) -> bool:
        runs = self._files.runs()
        counted = refusals.counted(runs, call, now)
        if counted is not None:
            if counted.is_new:
                self._has_counts = True
                self._files.write_runs(counted.runs)
            return counted.is_new
        begun = refusals.begun(runs, call, self._seq + 1, now, has_room=has_room)
        ended = [refusals.content(run, at=now) for run in begun.ended]
        self._add(*ended, chain.call_content(call, at=now))
        self._files.write_runs(begun.runs)
        return True

    def _tell_counts(self, now: EpochMs, *, all_counts: bool) -> None:
        runs = self._files.runs()
        due = [run for run in runs.runs if run.count] if all_counts else refusals.due(runs, now)
        if due:
            self._add(*(refusals.content(run, at=now) for run in due))
            for run in due:
                runs = refusals.reported(runs, run)
            self._files.write_runs(runs)
            self._rotate_if_long(now)
        self._has_counts = any(run.count for run in runs.runs)

    def _rotate_if_long(self, now: EpochMs) -> None:
        """Rotate to a new file. A failed rotation is retried with the next call."""
        if self._position < self._segment_bytes.get():
            return
        try:
            self._rotate(now)
        except OSError as error:
            _log.warning("audit-log-not-rotated", path=str(self._files.path), reason=error.strerror)

    def _rotate(self, now: EpochMs) -> None:
        content = chain.segment(self._holding, at=now)
        entry = chain.sealed(content, seq=self._seq + 1, previous=self._hash, key=self._key)
        line = chain.line_of(entry)
        self._files.rotate(self._first, line)
        self._seq, self._hash = self._seq + 1, str(entry["hash"])
        self._position, self._first = len(line), self._seq
        self._files.write_head(self._seq, self._hash)
        self._files.sync_folder()

    def _hash_at(self, seq: int) -> str | None:
        """The hash of an entry of the log, however old."""
        if seq == self._seq:
            return self._hash
        holders = [s.path for s in segments(self._files.folder) if s.first <= seq]
        path = self._files.path if seq >= self._first or not holders else holders[-1]
        with open_regular(path) as stream:
            for line in stream:
                entry = chain.parse_line(line.removesuffix(b"\n"))
                if entry is not None and entry.get("seq") == seq:
                    return str(entry.get("hash"))
        return None

    def _damaged(self, reason: str) -> AuditLogDamagedError:
        return AuditLogDamagedError(f"{self._files.path}: {reason}", path=str(self._files.path))


def has_log(folder: Path) -> bool:
    """A node without privileged calls has neither file; if only one exists, a log was removed."""
    return (folder / LOG_NAME).exists() or (folder / HEAD_NAME).exists()
