"""Writes a backup of a data directory; its host may be running."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from host.adapters.files.container import Sealer, Section, write_container
from host.adapters.files.durable_files import sync_folder
from host.adapters.files.identity import read_directory_id
from host.adapters.files.identity.directory_id import DirectoryId
from host.adapters.files.identity.errors import error_of
from host.adapters.files.identity.verification import inspect
from host.domain.errors import DiskFullError, StorageError
from host.domain.ids import EpochMs
from host.ports.clock import Clock
from host.ports.storage import DatabaseUpkeep
from host.runtime.wiring.offline_acts import offline_act, shared_act
from host.tools.backup.cut import Cut, copy_database, taken_cut, taken_own_files
from host.tools.backup.errors import BackupBusyError, BackupExistsError, BackupSourceError
from host.tools.backup.layout import ID_FILE, KIND, MAGIC, SHARED_KIND, STORES, is_name
from host.tools.backup.staging import working_folder

STAGING = "backup"
"""Folder of the data directory in which a backup is prepared; removed at its end."""
_RESERVE_BYTES = 64 * 1024 * 1024
"""Bytes that stay free on the disk of the data directory."""
_PIECE_BYTES = 1024 * 1024
_COMMAND = "host backup"
_NO_DATABASE = (
    "the cluster's database is not in the backup: back it up by PostgreSQL's own means"
    " (pg_basebackup, or pg_dump and pg_dumpall --roles-only)"
)

Report = Callable[[str, int, int], None]
"""Called with the stage (`copy`, `encrypt`), the bytes done, and the total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A backup that was written.

    Attributes:
        file: its path.
        at: the time of the cut.
        bytes: its size.
        sections: how many files it holds.
        content_bytes: their size.
        barrier_seconds: how long the host's commits were blocked.
        cluster_id, store_id: of the data directory.
        warnings: for the owner of the file.
    """

    file: Path
    at: EpochMs
    bytes: int
    sections: int
    content_bytes: int
    barrier_seconds: float
    cluster_id: str
    store_id: str
    warnings: Sequence[str]


def back_up(
    folder: Path,
    file: Path,
    *,
    sealer: Sealer,
    clock: Clock,
    report: Report,
    upkeep: DatabaseUpkeep | None = None,
) -> Written:
    """Write a backup of the data directory `folder` to `file`, which must not exist.

    Args:
        folder: the data directory; a host may run on it.
        file: the backup.
        sealer: encrypts it.
        clock: returns the time of the cut.
        report: is told of the progress.
        upkeep: of the database of the cluster that the host belongs to, which is not in the backup.

    Raises:
        BackupSourceError: `folder` is not a host's data directory.
        DataFileError: its files do not belong together.
        BackupExistsError: `file` exists.
        BackupBusyError: another backup is being made.
        ActNotRecordedError: the backup cannot be recorded in the administrative log.
        DiskFullError: there is not enough space for a copy of the databases.
        StorageError: something cannot be read or written; no file is left.
    """
    known = known_directory(folder, () if upkeep else STORES)
    if file.exists():
        raise BackupExistsError(f"{file} is there already", path=str(file))
    kind = SHARED_KIND if upkeep else KIND
    act = _recorded(folder, upkeep, file)
    with working_folder(folder / STAGING) as staging, act:
        check_room(folder)
        with (taken_own_files if upkeep else taken_cut)(folder, staging, clock) as cut:
            _copy_databases(cut, staging, report)
        sections, sources = _sections(cut, staging)
        with new_backup_file(file) as stream:
            write_container(
                stream,
                magic=MAGIC,
                sealer=sealer,
                created_at=cut.at,
                facts=facts_of(known, kind, cut.at),
                sections=sections,
                open_section=lambda name: sources[name].open("rb"),
                progress=_progress_of(report, sections),
            )
    return Written(
        file=file,
        at=cut.at,
        bytes=file.stat().st_size,
        sections=len(sections),
        content_bytes=sum(section.bytes for section in sections),
        barrier_seconds=cut.seconds,
        cluster_id=known.cluster_id,
        store_id=known.store_id,
        warnings=_told([section.name for section in sections], is_shared=upkeep is not None),
    )


def facts_of(known: DirectoryId, kind: str, at: EpochMs) -> dict[str, str | int]:
    """What the manifest of a backup says of it: `at` is the time of its cut."""
    return {"kind": kind, "clusterId": known.cluster_id, "storeId": known.store_id, "at": at}


def _told(names: Sequence[str], *, is_shared: bool) -> Sequence[str]:
    return [*warnings_of(names), *((_NO_DATABASE,) if is_shared else ())]


def _recorded(
    folder: Path, upkeep: DatabaseUpkeep | None, file: Path
) -> AbstractContextManager[object]:
    """The entry in the administrative log, of the host or of the cluster."""
    parameters = {"file": file.name}
    if upkeep is None:
        return offline_act(folder, _COMMAND, parameters=parameters)
    return shared_act(upkeep, _COMMAND, parameters=parameters)


def known_directory(folder: Path, stores: Sequence[str] = STORES) -> DirectoryId:
    """The identity of a data directory whose files belong together.

    Raises:
        BackupSourceError: `folder` is not a host's data directory, or no host was ready on it.
        DataFileError: its files do not belong together.
    """
    if not folder.is_dir() or not any((folder / name).exists() for name in (ID_FILE, *stores)):
        raise BackupSourceError(f"{folder} is no data directory of a host", path=str(folder))
    findings = inspect(folder)
    if findings:
        raise error_of(findings)
    known = read_directory_id(folder)
    missing = [name for name in stores if known is None or name not in known.files]
    if known is None or missing:
        raise BackupSourceError(
            f"{folder}: no host has been ready on it yet, or it has no {', '.join(missing)}",
            path=str(folder),
        )
    return known


def _progress_of(report: Report, sections: Sequence[Section]) -> Callable[[int], None]:
    """A function that adds up the encrypted bytes and reports them."""
    total, done = sum(section.bytes for section in sections), 0

    def progress(count: int) -> None:
        nonlocal done
        done += count
        report("encrypt", done, total)

    return progress


def check_room(folder: Path) -> None:
    """Refuse a copy that would fill the disk of the data directory."""
    databases = [*folder.glob("*.sqlite*"), *folder.glob("vnodes/*/*.sqlite*")]
    needed = sum(path.stat().st_size for path in databases) + _RESERVE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFullError(
            f"the disk of {folder} has {free} bytes free, a backup needs {needed}"
            " for a copy of the databases",
            path=str(folder),
        )


def _copy_databases(cut: Cut, staging: Path, report: Report) -> None:
    sizes = {
        name: connection.execute("PRAGMA page_count").fetchone()[0]
        * connection.execute("PRAGMA page_size").fetchone()[0]
        for name, connection in cut.snapshots.items()
    }
    done, total = 0, sum(sizes.values())
    for name, connection in cut.snapshots.items():
        copy_database(connection, staging / name)
        # Without its snapshot, the host can reset the write-ahead log of this database again.
        connection.close()
        done += sizes[name]
        report("copy", done, total)


def _sections(cut: Cut, staging: Path) -> tuple[list[Section], dict[str, Path]]:
    sources: dict[str, tuple[Path, int | None]] = dict(cut.files)
    sources |= {name: (staging / name, None) for name in (*cut.snapshots, *cut.copied)}
    names = sorted(name for name in sources if is_name(name))
    sections = [_section(name, *sources[name]) for name in names]
    return sections, {name: sources[name][0] for name in names}


def _section(name: str, path: Path, size: int | None) -> Section:
    digest = hashlib.sha256()
    left = path.stat().st_size if size is None else size
    length = left
    with path.open("rb") as stream:
        while left:
            piece = stream.read(min(left, _PIECE_BYTES))
            if not piece:
                raise StorageError(f"{name} became shorter while it was read", path=name)
            digest.update(piece)
            left -= len(piece)
    return Section(name=name, bytes=length, digest=digest.hexdigest())


@contextmanager
def new_backup_file(file: Path) -> Iterator[BinaryIO]:
    """A file that appears complete, synchronised and private to its owner, or not at all."""
    draft = file.with_name(f".{file.name}.partial")
    try:
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise StorageError(f"{draft} cannot be made: {exc.strerror}", path=str(draft)) from exc
    with os.fdopen(descriptor, "wb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise BackupBusyError(f"another backup is being written to {file}") from exc
        try:
            stream.truncate()
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            # A hard link, unlike a rename, never replaces an existing file.
            os.link(draft, file)
        except FileExistsError as exc:
            raise BackupExistsError(f"{file} is there already", path=str(file)) from exc
        except OSError as exc:
            raise StorageError(f"{file} cannot be written: {exc}", path=str(file)) from exc
        finally:
            draft.unlink(missing_ok=True)
    sync_folder(file.parent)


def warnings_of(names: Sequence[str]) -> list[str]:
    warnings = []
    if any(name.startswith("secrets/master-key") for name in names):
        warnings.append(
            "the backup holds the master key: whoever can open it can use every node's keys"
        )
    if any(name.startswith("secrets/master-salt") for name in names):
        warnings.append(
            "the backup does not hold the master passphrase: keep it, no key opens without it"
        )
    if "secrets/admin-password" in names:
        warnings.append("the backup holds the administrator's first password")
    warnings.append(
        "files outside the data directory are not in the backup: settings, and the files for"
        " passwords, passphrase and TLS that they name"
    )
    return warnings
