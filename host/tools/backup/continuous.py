"""Writes a continuous backup: a whole one, then again and again the blocks that have changed.

Each part is a cut of its own, as of a single backup. A database without a commit since the cut
before is not even copied; the others are copied and compared block by block.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from host.adapters.files.container import Sealer, Section, write_container
from host.adapters.files.identity.marks import commits_of
from host.domain.errors import StorageError
from host.domain.ids import EpochMs
from host.ports.clock import Clock
from host.tools.backup import chain
from host.tools.backup.blocks import ChangedBlocks, Scan, changed_blocks, scan, section_of
from host.tools.backup.cut import Cut, copy_database, taken_cut
from host.tools.backup.errors import BackupSourceError
from host.tools.backup.layout import KIND, MAGIC, is_name
from host.tools.backup.staging import working_folder
from host.tools.backup.writing import (
    STAGING,
    check_room,
    facts_of,
    known_directory,
    new_backup_file,
)

_LEAST_BYTES_OF_CHANGES = 64 * 1024 * 1024
"""Before a new base is begun; also when the base is smaller."""
_CHANGES_MAX = 10_000
"""After a base, however small they are."""

_Mark = tuple[int, ...] | None
"""What shows that a file has not changed; None never does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenSegment:
    """A part that was written.

    Attributes:
        segment: its place.
        at: the time of the cut.
        bytes: its size.
        files: how many files it has changes of.
        content_bytes: size of the changes.
        barrier_seconds: how long the host's commits were blocked.
    """

    segment: chain.Segment
    at: EpochMs
    bytes: int
    files: int
    content_bytes: int
    barrier_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """A file as the newest part has it."""

    mark: _Mark
    scan: Scan


@dataclass(slots=True)
class _Found:
    """The files of a cut: those that were looked at, and names of all."""

    files: dict[str, _Known] = field(default_factory=dict)
    sources: dict[str, Path] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)


class ContinuousBackup:
    """A continuous backup of the data directory `folder` in the folder `target`.

    It begins with a base: what an earlier process wrote to `target` is not continued. When a base
    is complete, all parts before the base before it are deleted.

    Raises:
        BackupSourceError: `folder` is not a host's data directory.
        DataFileError: its files do not belong together.
        StorageError: `target` cannot be made or read.
    """

    def __init__(self, folder: Path, target: Path, *, sealer: Sealer, clock: Clock) -> None:
        self._folder = folder
        self._target = target
        self._sealer = sealer
        self._clock = clock
        self._directory = known_directory(folder)
        self._number = max((each.number for each in chain.segments(target)), default=0)
        self._files: dict[str, _Known] = {}
        self._newest: str | None = None
        self._changes = self._changes_bytes = self._base_bytes = 0

    def advance(self) -> WrittenSegment | None:
        """Write what has changed since the last call; None if nothing has.

        After an error the next call writes what this one should have.

        Raises:
            BackupBusyError: another backup is being made, or a writer does not release its lock.
            BackupExistsError: another process writes to the same folder.
            DiskFullError: there is not enough space for a copy of the databases.
            StorageError: something cannot be read or written.
        """
        with working_folder(self._folder / STAGING) as staging:
            check_room(self._folder)
            is_base = self._is_base_due()
            stamps = _stamps(self._folder)
            with taken_cut(self._folder, staging, self._clock) as cut:
                found = self._look(cut, staging, stamps, is_base=is_base)
            if is_base:
                return self._write_base(cut, found)
            return self._write_changes(cut, found)

    def _is_base_due(self) -> bool:
        most = max(self._base_bytes, _LEAST_BYTES_OF_CHANGES)
        is_long = self._changes >= _CHANGES_MAX or self._changes_bytes >= most
        return self._newest is None or is_long

    def _look(
        self, cut: Cut, staging: Path, stamps: Mapping[str, tuple[int, ...]], *, is_base: bool
    ) -> _Found:
        """Copy the databases that have changed, and read all files that may have."""
        found = _Found(names={n for n in (*cut.files, *cut.copied, *cut.snapshots) if is_name(n)})
        for name, connection in cut.snapshots.items():
            stamp = stamps.get(name)
            mark = None if stamp is None else (commits_of(connection), *stamp)
            if is_base or not self._is_known(name, mark):
                copy_database(connection, staging / name)
                self._read(found, name, staging / name, None, mark)
            # Without its snapshot, the host can reset the write-ahead log of this database again.
            connection.close()
        for name in cut.copied:
            self._read(found, name, staging / name, None, None)
        for name, (path, size) in cut.files.items():
            state = path.stat()
            mark = (state.st_ino, state.st_mtime_ns, size)
            if name in found.names and (is_base or not self._is_known(name, mark)):
                self._read(found, name, path, size, mark)
        return found

    def _is_known(self, name: str, mark: _Mark) -> bool:
        known = self._files.get(name)
        return known is not None and mark is not None and known.mark == mark

    def _read(self, found: _Found, name: str, path: Path, size: int | None, mark: _Mark) -> None:
        with path.open("rb") as stream:
            found.files[name] = _Known(mark=mark, scan=scan(stream, size, name))
        found.sources[name] = path

    def _write_base(self, cut: Cut, found: _Found) -> WrittenSegment:
        sections = {
            name: Section(name=name, bytes=file.scan.size, digest=file.scan.digest)
            for name, file in sorted(found.files.items())
        }
        contents = {name: partial(_opened, found.sources[name]) for name in sections}
        before = self._last_base()
        written = self._write(cut, sections, contents, is_base=True)
        self._files = found.files
        self._base_bytes, self._changes, self._changes_bytes = written.bytes, 0, 0
        self._delete_before(before)
        return written

    def _write_changes(self, cut: Cut, found: _Found) -> WrittenSegment | None:
        changed = {
            name: file
            for name, file in sorted(found.files.items())
            if name not in self._files or self._files[name].scan != file.scan
        }
        removed = sorted(set(self._files) - found.names)
        self._files |= {name: each for name, each in found.files.items() if name not in changed}
        if not changed and not removed:
            return None
        listing = msgspec.json.encode(
            chain.Listing(
                changed={
                    name: chain.FileState(bytes=file.scan.size, digest=file.scan.digest)
                    for name, file in changed.items()
                },
                removed=tuple(removed),
            )
        )
        contents = {name: partial(self._changes_of, found, name) for name in changed}
        sections = {name: section_of(name, open_()) for name, open_ in contents.items()}
        digest = hashlib.sha256(listing).hexdigest()
        head = Section(name=chain.LISTING, bytes=len(listing), digest=digest)
        opened: dict[str, Callable[[], object]] = {
            chain.LISTING: partial(BytesIO, listing),
            **contents,
        }
        written = self._write(cut, {chain.LISTING: head, **sections}, opened, is_base=False)
        self._files |= changed
        for name in removed:
            del self._files[name]
        self._changes += 1
        self._changes_bytes += written.bytes
        return written

    def _changes_of(self, found: _Found, name: str) -> ChangedBlocks:
        before, now = self._files.get(name), found.files[name].scan
        numbers = changed_blocks(None if before is None else before.scan, now)
        return ChangedBlocks(found.sources[name].open("rb"), now.size, numbers)

    def _write(
        self,
        cut: Cut,
        sections: Mapping[str, Section],
        contents: Mapping[str, Callable[[], object]],
        *,
        is_base: bool,
    ) -> WrittenSegment:
        segment = chain.segment_after(self._target, self._number, is_base=is_base)
        facts = facts_of(self._directory, KIND if is_base else chain.KIND, cut.at)
        with new_backup_file(segment.path) as stream:
            digest = write_container(
                stream,
                magic=MAGIC,
                sealer=self._sealer,
                created_at=cut.at,
                facts=facts,
                sections=sections.values(),
                open_section=lambda name: cast("BinaryIO", contents[name]()),
                progress=lambda _bytes: None,
                base=None if is_base else self._newest,
            )
        self._newest, self._number = digest, segment.number
        return WrittenSegment(
            segment=segment,
            at=cut.at,
            bytes=segment.path.stat().st_size,
            files=len(sections) - (not is_base),
            content_bytes=sum(each.bytes for each in sections.values()),
            barrier_seconds=cut.seconds,
        )

    def _last_base(self) -> int:
        bases = [each.number for each in chain.segments(self._target) if each.is_base]
        return max(bases, default=0)

    def _delete_before(self, number: int) -> None:
        """Delete the parts before a base; the newest first, so that none outlives its base."""
        for each in reversed(chain.segments(self._target)):
            if each.number < number:
                each.path.unlink(missing_ok=True)


def prepare_folder(folder: Path, target: Path) -> None:
    """Make the folder of a continuous backup, which is no part of the data directory.

    Raises:
        BackupSourceError: it lies in the data directory.
        StorageError: it cannot be made.
    """
    if target.absolute().resolve().is_relative_to(folder.absolute().resolve()):
        raise BackupSourceError(f"{target} lies in the data directory", path=str(target))
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise StorageError(f"{target} cannot be made: {exc.strerror}", path=str(target)) from exc


def _opened(path: Path) -> BinaryIO:
    return path.open("rb")


def _stamps(folder: Path) -> dict[str, tuple[int, ...]]:
    """For each database, sizes and times of its file and its log, read before the cut."""
    found = {}
    for path in (*folder.glob("*.sqlite"), *folder.glob("vnodes/*/*.sqlite")):
        name = str(path.relative_to(folder))
        found[name] = (*_stamp(path), *_stamp(path.with_name(f"{path.name}-wal")))
    return found


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        state = path.stat()
    except FileNotFoundError:
        return (0,)
    return (state.st_ino, state.st_size, state.st_mtime_ns)
