"""Inspection of the files of a data directory before they are opened for use."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from host.adapters.files.identity.marks import commits_of
from host.adapters.files.identity.table import CLUSTER, FLOWS, FileIdentity, read_identity
from host.adapters.files.identity.write_ahead import file_lacks
from host.adapters.files.regular_files import require_regular

STORES = {"flows.sqlite": FLOWS, "cluster.sqlite": CLUSTER}
"""The files that every cluster has, with their kinds, in the order in which epochs are raised."""

_BUSY_SECONDS = 10.0
_VERSIONED = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'"
_BESIDE = ("-wal", "-shm", "-journal")
_EVIDENCE = ("vnodes/*/*", "packages/*.cpi")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """The result of a file's inspection.

    Attributes:
        size: in bytes; None if it does not exist.
        has_tables: whether it has been used; false while it is being created.
        identity: its identity; None if it has none.
        commits: the number of its newest commit.
        lacks: number of the missing commit that its write-ahead log builds on, and number of the
            file's newest commit.
        problem: why it cannot be read, if it cannot.
    """

    size: int | None
    has_tables: bool = False
    identity: FileIdentity | None = None
    commits: int = 0
    lacks: tuple[int, int] | None = None
    problem: str | None = None


def file_state(path: Path) -> FileState:
    """Inspect an SQLite file."""
    try:
        require_regular(path)
        for end in _BESIDE:
            with suppress(FileNotFoundError):
                require_regular(path.with_name(path.name + end))
        size = path.stat().st_size
        if size == 0:
            return FileState(size=0)
        lacks = file_lacks(path)
    except FileNotFoundError:
        return FileState(size=None)
    except OSError as exc:
        return FileState(size=None, problem=exc.strerror)
    if lacks is not None:
        # Not opened: SQLite would merge the log into the file.
        return FileState(size=size, lacks=lacks)
    try:
        with opened(path) as connection:
            return FileState(
                size=size,
                has_tables=connection.execute(_VERSIONED).fetchone() is not None,
                identity=read_identity(connection),
                commits=commits_of(connection),
            )
    except (sqlite3.Error, ValueError, TypeError) as exc:
        return FileState(size=size, problem=str(exc))


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to an existing file; never creates one."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        timeout=_BUSY_SECONDS,
        check_same_thread=False,
    )
    try:
        connection.execute("PRAGMA synchronous = FULL")
        yield connection
    finally:
        connection.close()


def evidence(folder: Path) -> str | None:
    """A file that only a cluster creates, relative to `folder`; None if there is none."""
    for pattern in _EVIDENCE:
        for found in folder.glob(pattern):
            return str(found.relative_to(folder))
    return None
