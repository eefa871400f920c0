"""Databases of virtual nodes: a file for each node, opened when needed, few open at a time."""

import fcntl
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection

from host.adapters.files.durable_files import sync_folder, write_durably
from host.adapters.files.identity import Marks
from host.adapters.files.identity.files import file_state
from host.adapters.sqlite.database import Database
from host.adapters.sqlite.node_files import NodeFile
from host.adapters.sqlite.node_identity import (
    GENERATION,
    check_commits,
    check_identity,
    give_node_identity,
)
from host.adapters.sqlite.shared_commits import SharedCommits
from host.database.sql import dialect_of
from host.domain.accounts import QuotaExceededError
from host.domain.errors import HostError, NotFoundError, StorageError
from host.domain.ids import ShortHash
from host.ports.database import Schema
from host.ports.vaults import VaultRegister

T = TypeVar("T")

OPEN_MAX = 64
_POOL_SIZE = 2


class _OpenDatabase:
    """A database that is in use, or was used recently.

    Attributes:
        opening: lock that is held while the file is created and opened; others are not blocked.
        commits: of the database; None until it is open.
        users: number of threads that use or await it; guarded by the lock of all.
    """

    def __init__(self) -> None:
        self.opening = threading.Lock()
        self.commits: SharedCommits | None = None
        self.users = 0


class NodeDatabases:
    """Opens one kind of database of the nodes, `<root>/<short hash>/<file name>`.

    A database is created on first use: a node that never runs has no file. `register` records the
    created ones, so that a lost file is not mistaken for a new one; without a register, only
    `create` creates files.

    Idle databases beyond `open_max` are closed, the least recently used first; one in use stays.
    None grows beyond the limit of `bytes_max_of` for its node, if given: one node's code must not
    fill the shared disk.

    Every file contains its node, and counts its effects in its `generation`. `note` records the
    generations in the register: an older copy in a file's place is refused. `marks` record each
    commit at once, but may be lost in a power failure.
    """

    def __init__(
        self,
        file: NodeFile,
        root: Path,
        schemas: Sequence[Schema],
        *,
        register: VaultRegister | None = None,
        cluster_id: str = "",
        marks: Marks | None = None,
        open_max: int = OPEN_MAX,
        bytes_max_of: Callable[[ShortHash], int] | None = None,
    ) -> None:
        self._file = file
        self._root = root
        self._schemas = tuple(schemas)
        self._register = register
        self._cluster_id = cluster_id
        self._marks = marks
        self._written: set[ShortHash] = set()
        self._refused: set[ShortHash] = set()
        self._open_max = open_max
        self._bytes_max_of = bytes_max_of
        self._lock = threading.Lock()
        self._open: OrderedDict[ShortHash, _OpenDatabase] = OrderedDict()
        self._template_lock = threading.Lock()
        self._template: bytes | None = None

    def create(self, short_hash: ShortHash) -> None:
        """Create the node's folder and database; does nothing if they exist.

        Raises:
            StorageError: the files cannot be created.
        """
        path = self._path(short_hash)
        try:
            _place(self._empty(), path)
        except OSError as exc:
            raise StorageError(
                f"database {path} cannot be created: {exc.strerror}", path=str(path)
            ) from exc

    def is_made(self, short_hash: ShortHash) -> bool:
        """Whether the node has a file: a read of a missing one need not create it.

        Raises:
            StorageError: it had one, which is gone.
            NotFoundError: no such virtual node, where a register tells.
        """
        if self._path(short_hash).exists():
            return True
        if self._register is None or not self._register.is_made(short_hash):
            return False
        if not self._path(short_hash).exists():
            raise self._missing(short_hash)
        return True

    @contextmanager
    def read(self, short_hash: ShortHash) -> Iterator[Connection]:
        """A consistent view of one node's database.

        Raises:
            NotFoundError: no such virtual node; without a register, it has no file.
            StorageError: the file is damaged or missing, or cannot be created.
        """
        with self._lease(short_hash) as commits, commits.database.read() as connection:
            yield connection

    def transact(self, short_hash: ShortHash, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction on one node's database; see `SqlDatabase.transact`.

        Calls of one node at the same time share a commit.

        Raises:
            QuotaExceededError: it would make the file grow beyond its limit; nothing has changed.
        """

        def within_limit(connection: Connection) -> T:
            before = dialect_of(connection).used_bytes(connection)
            result = work(connection)
            self._check_grown(short_hash, before, dialect_of(connection).used_bytes(connection))
            return result

        with self._lease(short_hash) as commits:
            result = commits.transact(within_limit)
        with self._lock:
            self._written.add(short_hash)
        return result

    def _check_grown(self, short_hash: ShortHash, before: int, used: int) -> None:
        if self._bytes_max_of is None or used <= before:
            return
        bytes_max = self._bytes_max_of(short_hash)
        if used > bytes_max:
            raise QuotaExceededError.of(
                short_hash, self._file.account, held=before, more=used - before, most=bytes_max
            )

    def note(self) -> None:
        """Record in the register the generations of files that were written to.

        Raises:
            StorageError: it cannot be stored; the next call tries again.
        """
        if self._register is None:
            return
        with self._lock:
            written, self._written = self._written, set()
        try:
            generations: dict[ShortHash, int] = {}
            for short_hash in written:
                # A file that cannot be read is skipped: its node's own calls report the error.
                with suppress(StorageError), self.read(short_hash) as connection:
                    generations[short_hash] = connection.exec_driver_sql(GENERATION).scalar_one()
            if generations:
                self._register.note_generations(generations)
        except BaseException:
            with self._lock:
                self._written |= written
            raise

    def used_bytes(self, short_hash: ShortHash) -> int:
        """Size of the node's file in bytes; 0 while it has none.

        Raises:
            StorageError: it had one, which is gone.
            NotFoundError: no such virtual node, where a register tells.
        """
        if not self.is_made(short_hash):
            return 0
        with self.read(short_hash) as connection:
            return dialect_of(connection).used_bytes(connection)

    def close(self) -> None:
        """Record the generations of the files, and close them. None may be in use."""
        with suppress(HostError):  # reported by the periodic caller of `note`
            self.note()
        with self._lock:
            while self._open:
                commits = self._open.popitem()[1].commits
                if commits is not None:
                    commits.database.close()

    def _empty(self) -> bytes:
        """A file without content: created once, because a copy is much faster than its tables."""
        with self._template_lock:
            if self._template is None:
                with tempfile.TemporaryDirectory(prefix="cordbox-") as folder:
                    path = Path(folder) / self._file.name
                    Database.open(path, self._schemas, pool_size=1, has_revision=False).close()
                    self._template = path.read_bytes()
            return self._template

    def _path(self, short_hash: ShortHash) -> Path:
        return self._root / short_hash / self._file.name

    @contextmanager
    def _lease(self, short_hash: ShortHash) -> Iterator[SharedCommits]:
        with self._lock:
            held = self._open.setdefault(short_hash, _OpenDatabase())
            self._open.move_to_end(short_hash)
            held.users += 1
        try:
            with held.opening:
                if held.commits is None:
                    held.commits = SharedCommits(self._opened(short_hash))
            yield held.commits
        finally:
            with self._lock:
                held.users -= 1
                if held.commits is None and not held.users:
                    del self._open[short_hash]
                idle = self._take_idle()
            for database in idle:
                database.close()

    def _opened(self, short_hash: ShortHash) -> Database:
        try:
            database = self._checked(short_hash)
        except StorageError as problem:
            self._note_problem(short_hash, problem)
            raise
        self._note_problem(short_hash, None)
        return database

    def _note_problem(self, short_hash: ShortHash, problem: HostError | None) -> None:
        with self._lock:
            if self._register is None or (problem is None) == (short_hash not in self._refused):
                return
            (self._refused.discard if problem is None else self._refused.add)(short_hash)
        with suppress(StorageError):
            self._register.note_problem(short_hash, problem)

    def _checked(self, short_hash: ShortHash) -> Database:
        path = self._path(short_hash)
        if self._register is not None and not self._register.is_made(short_hash):
            # Recorded before anything is written to it: a file that is not recorded was empty.
            self.create(short_hash)
            database = self._open_file(short_hash, noted=0)
            self._register.note_made(short_hash)
            return database
        if not path.exists():
            if self._register is None:
                raise NotFoundError(
                    f"virtual node {short_hash} has no {self._file.called}",
                    kind=self._file.called,
                    named=short_hash,
                )
            raise self._missing(short_hash)
        noted = 0 if self._register is None else self._register.noted(short_hash)
        if self._register is not None and not path.stat().st_size:
            raise self._file.empty(
                f"the {self._file.called} of virtual node {short_hash} is empty:"
                f" {path} has 0 bytes",
                path=str(path),
            )
        unconfirmed = self._file.unconfirmed(path.parent)
        if unconfirmed is not None:
            raise unconfirmed
        return self._open_file(short_hash, noted=noted)

    def _open_file(self, short_hash: ShortHash, *, noted: int) -> Database:
        """Open a node's file, after checking its identity.

        Raises:
            StorageError: it is another database, or none; or its generation is lower than the
                recorded one.
        """
        path = self._path(short_hash)
        state = file_state(path)
        if state.problem is not None and state.size is None:
            raise self._file.foreign(f"{path}: {state.problem}", path=str(path))
        name = f"{path.parent.parent.name}/{short_hash}/{path.name}"
        known = None if self._marks is None else self._marks.known(name)
        check_commits(self._file, path, short_hash, state, known)
        if state.identity is not None:
            check_identity(
                self._file,
                path,
                state.identity,
                cluster_id=self._cluster_id,
                node=short_hash,
                noted=noted,
            )
        elif state.problem is None and noted:
            raise self._file.foreign(
                f"{path} carries no cluster's id: expected the {self._file.called} of virtual node"
                f" {short_hash}",
                path=str(path),
            )
        database = Database.open(
            path,
            self._schemas,
            pool_size=_POOL_SIZE,
            has_revision=False,
            mark=None if self._marks is None else self._marks.of(name),
        )
        if state.identity is None:
            try:
                give_node_identity(database, self._file, self._cluster_id, short_hash)
            except BaseException:
                database.close()
                raise
        return database

    def _missing(self, short_hash: ShortHash) -> StorageError:
        path = self._path(short_hash)
        return self._file.missing(
            f"the {self._file.called} of virtual node {short_hash} is gone: there is no {path}",
            path=str(path),
        )

    def _take_idle(self) -> Sequence[Database]:
        """Remove surplus databases that are not in use, and return them; the caller closes them."""
        idle = []
        for short_hash, held in list(self._open.items()):
            if len(self._open) <= self._open_max:
                break
            if not held.users and held.commits is not None:
                del self._open[short_hash]
                idle.append(held.commits.database)
        return idle


def _place(content: bytes, path: Path) -> None:
    """Create a file atomically and durably with its content; an existing file is unchanged."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _folder(path.parent) as folder:
        # Another process may be creating the same file.
        fcntl.flock(folder, fcntl.LOCK_EX)
        if not path.exists():
            write_durably(path, [content])
        else:
            os.fsync(folder)
    sync_folder(path.parent.parent)


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
