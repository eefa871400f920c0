"""One consistent cut over all files of a data directory while its host keeps running.

After a restore, a flow must never have recorded an effect that is missing in its vault, the
registers or an audit log. Therefore commits to the flow store and the registers are blocked during
the cut; everything else is read after them, in the reverse of the order in which a step writes:

1. the flow store: no step is committed from now on;
2. the registers, and with them the small files that their rows need (secrets, packages);
3. the audit logs, up to their last line: each entry was written after its effect;
4. the vaults, then the notaries' spent states: a transaction that a vault holds as final is known
   to its notary. A step that is running may still write to them: the cut then holds an effect whose
   step is not committed. Its flow makes the same call again after a restore, under the same request
   identifier, and gets the answer that is stored with the effect, exactly as after `kill -9`.

During the cut only a short read transaction is opened on each database. The snapshots are copied
afterwards, while the host works.
"""

import fcntl
import os
import resource
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from host.adapters.sqlite.node_files import UNIQUENESS, VAULT
from host.domain.errors import StorageError
from host.domain.ids import EpochMs
from host.nodes.audit_log.segments import HEAD_NAME, LOG_NAME, REPEATS_NAME, segments
from host.ports.clock import Clock
from host.tools.backup.errors import BackupBusyError
from host.tools.backup.layout import ID_FILE, SMALL_FOLDERS, STORES

BARRIER_WAIT_SECONDS = 30.0
"""How long a backup waits for the writer locks of the stores."""
_RETRY_SECONDS = 0.002
_BUSY_SECONDS = 10.0
_FILES_OF_A_DATABASE = 3
_FILES_RESERVED = 128
_HELD_BACK = (signal.SIGINT, signal.SIGTERM, signal.SIGTSTP, signal.SIGHUP)


@dataclass(kw_only=True)
class Cut:
    """The content of a cut, by names relative to the data directory.

    Attributes:
        at: the time of the cut.
        seconds: how long commits were blocked.
        snapshots: connections whose read transactions show the databases at the time of the cut.
        copied: databases that were copied during the cut, because not all can be open at once.
        files: other files, with the number of bytes that belong to the cut.
    """

    at: EpochMs
    seconds: float = 0.0
    snapshots: dict[str, sqlite3.Connection] = field(default_factory=dict)
    copied: list[str] = field(default_factory=list)
    files: dict[str, tuple[Path, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _NotedLog:
    """An audit log at the time of the cut: its file, its length, and the files beside it."""

    path: Path
    inode: int
    size: int
    beside: Mapping[str, bytes]


@contextmanager
def taken_cut(folder: Path, staging: Path, clock: Clock) -> Iterator[Cut]:
    """A cut of the data directory `folder`, open for the length of the block.

    Args:
        folder: the data directory; a host may run on it.
        staging: an empty folder on the same file system.
        clock: returns the time of the cut.

    Raises:
        BackupBusyError: a writer does not release its lock in time.
        StorageError: a file cannot be read.
    """
    with ExitStack() as stack:
        room = _room_for_databases()
        ready: dict[str, sqlite3.Connection] = {}
        for name in _databases(folder):
            if len(ready) < room:
                ready[name] = stack.enter_context(_reading(folder / name))
        registers = stack.enter_context(_reading(folder / STORES[1]))
        with _translated(folder), _undisturbed(), ExitStack() as barrier:
            barrier.enter_context(_flows_held(folder))
            barrier.enter_context(_registers_held(registers))
            begun = time.monotonic()
            cut = Cut(at=clock.now_ms())
            for name in STORES:
                _show(cut, name, ready[name])
            _copy_small(folder, staging, cut)
            _link_packages(folder, staging, cut)
            logs = _note_audit_logs(folder)
            for name in _databases(folder):
                if name in STORES:
                    continue
                if name not in ready and len(ready) < room:
                    ready[name] = stack.enter_context(_reading(folder / name))
                if name in ready:
                    _show(cut, name, ready[name])
                else:
                    with _reading(folder / name) as source:
                        copy_database(source, staging / name)
                    cut.copied.append(name)
            cut.seconds = time.monotonic() - begun
        with _translated(folder):
            for log in logs:
                _keep_audit_log(folder, staging, log, cut)
        yield cut


@contextmanager
def taken_own_files(folder: Path, staging: Path, clock: Clock) -> Iterator[Cut]:
    """The files that a host of a cluster keeps itself, for the length of the block.

    Nothing is held up: they are written once, but for audit logs, of which each is whole.

    Args:
        folder: the data directory; a host may run on it.
        staging: an empty folder on the same file system.
        clock: returns the time of the cut.

    Raises:
        BackupBusyError: a log was moved meanwhile.
        StorageError: a file cannot be read.
    """
    cut = Cut(at=clock.now_ms())
    with _translated(folder):
        _copy_small(folder, staging, cut)
        for log in _note_audit_logs(folder):
            _keep_audit_log(folder, staging, log, cut)
    yield cut


def copy_database(source: sqlite3.Connection, target: Path) -> None:
    """Copy the snapshot of a connection to a new file.

    Raises:
        sqlite3.Error: it cannot be read or written.
    """
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    target.touch(mode=0o600)
    copy = sqlite3.connect(target, isolation_level=None)
    try:
        # The copy is read only after it is complete, so it needs no journal.
        copy.execute("PRAGMA synchronous = OFF")
        source.backup(copy)
    finally:
        copy.close()


def _databases(folder: Path) -> list[str]:
    vaults = [*folder.glob(f"vnodes/*/{VAULT.name}")]
    # A transaction that a vault holds as final must be known to its notary, so notaries are last.
    notaries = [*folder.glob(f"vnodes/*/{UNIQUENESS.name}")]
    found = [*sorted(vaults), *sorted(notaries)]
    return [*STORES, *(str(path.relative_to(folder)) for path in found)]


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            isolation_level=None,
            timeout=_BUSY_SECONDS,
        )
    except sqlite3.Error as exc:
        raise StorageError(f"database {path}: {exc}", path=str(path)) from exc
    try:
        connection.execute("PRAGMA cache_size = -256")
        connection.execute("PRAGMA schema_version").fetchone()
        yield connection
    except sqlite3.DatabaseError as exc:
        raise StorageError(f"database {path}: {exc}", path=str(path)) from exc
    finally:
        connection.close()


def _show(cut: Cut, name: str, connection: sqlite3.Connection) -> None:
    """Begin a read transaction as a snapshot of the database."""
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    cut.snapshots[name] = connection


@contextmanager
def _flows_held(folder: Path) -> Iterator[None]:
    """Hold the interprocess writer lock of the flow store."""
    lock = os.open(folder / f"{STORES[0]}-writer", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        until = time.monotonic() + BARRIER_WAIT_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as exc:
                if time.monotonic() > until:
                    raise BackupBusyError("the flow store's writer does not let go") from exc
                time.sleep(_RETRY_SECONDS)
        yield
    finally:
        os.close(lock)


@contextmanager
def _registers_held(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the write lock of the registers without writing."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as exc:
        raise BackupBusyError(f"the registers' writer does not let go: {exc}") from exc
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def _copy_small(folder: Path, staging: Path, cut: Cut) -> None:
    """The files that the registers need: they may be replaced once the registers can be written."""
    found = [folder / ID_FILE]
    for name in SMALL_FOLDERS:
        with suppress(FileNotFoundError):
            found += sorted(p for p in (folder / name).iterdir() if _belongs(p))
    for file in found:
        _copy(folder, staging, file, cut)


def _copy(folder: Path, staging: Path, file: Path, cut: Cut) -> None:
    name = str(file.relative_to(folder))
    target = staging / name
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copyfile(file, target)
    cut.files[name] = (target, target.stat().st_size)


def _belongs(file: Path) -> bool:
    return file.is_file() and not file.name.endswith(".new")


def _link_packages(folder: Path, staging: Path, cut: Cut) -> None:
    """Package files never change, but may be replaced: a hard link keeps one until it is copied."""
    for file in sorted(folder.glob("packages/*.cpi")):
        name = str(file.relative_to(folder))
        _link(staging, file, name, cut, size=file.stat().st_size)


def _note_audit_logs(folder: Path) -> list[_NotedLog]:
    """The end of each log, and the files beside it. Logs only grow, so they can be copied later."""
    noted = []
    for log in sorted(folder.glob(f"vnodes/*/{LOG_NAME}")):
        with _quiet_log(log) as found:
            beside = {}
            for name in (HEAD_NAME, REPEATS_NAME):
                with suppress(FileNotFoundError):
                    beside[name] = log.with_name(name).read_bytes()
        noted.append(_NotedLog(path=log, inode=found.st_ino, size=found.st_size, beside=beside))
    return noted


def _keep_audit_log(folder: Path, staging: Path, log: _NotedLog, cut: Cut) -> None:
    """Hard-link the files of a log, which may have been rotated meanwhile."""
    parts = segments(log.path.parent)
    same = [part for part in parts if part.path.stat().st_ino == log.inode]
    current = same[0].path if same else log.path
    if current.stat().st_ino != log.inode:
        raise BackupBusyError(f"{log.path} was moved while the backup was made; try again")
    name = str(log.path.relative_to(folder))
    _link(staging, current, name, cut, size=log.size)
    for part in parts:
        if not same or part.first < same[0].first:
            size = part.path.stat().st_size
            _link(staging, part.path, str(part.path.relative_to(folder)), cut, size=size)
    for beside, content in log.beside.items():
        path = log.path.with_name(beside)
        target = staging / path.relative_to(folder)
        target.write_bytes(content)
        cut.files[str(path.relative_to(folder))] = (target, len(content))


@contextmanager
def _quiet_log(path: Path) -> Iterator[os.stat_result]:
    """Block appends to a log: every writer holds this lock while it appends."""
    while True:
        with path.open("rb") as log:
            fcntl.flock(log, fcntl.LOCK_SH)
            found = os.fstat(log.fileno())
            # It may have been rotated while this process waited for the lock.
            if os.path.samestat(found, path.stat()):
                yield found
                return


def _link(staging: Path, file: Path, name: str, cut: Cut, *, size: int) -> None:
    target = staging / name
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.link(file, target)
    cut.files[name] = (target, size)


def _room_for_databases() -> int:
    """How many databases can be open at once, by the process's limit of open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return max(len(STORES), (soft - _FILES_RESERVED) // _FILES_OF_A_DATABASE)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Signals are deferred while other processes are blocked, and delivered afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as exc:
        raise StorageError(f"{folder} cannot be read: {exc}", path=str(folder)) from exc
