"""Increments the epoch of a data directory's files, periodically while a host runs."""

import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import structlog

from host.adapters.files.identity.directory_id import (
    DirectoryId,
    read_directory_id,
    write_directory_id,
)
from host.adapters.files.identity.files import STORES, file_state, opened
from host.adapters.files.identity.judgement import next_epoch
from host.adapters.files.identity.table import RAISE, FileIdentity, give_identity
from host.domain.errors import HostError, StorageError

EVERY_SECONDS = 60.0
"""A copy of a store from before the last increment is recognised as older."""

_log = structlog.get_logger("cordbox.host")


def raise_epoch(folder: Path, known: DirectoryId) -> DirectoryId:
    """Increment the epoch of every existing store, and finally that of `cordbox-id`.

    This also writes the cluster's id to stores created since the last call.

    Raises:
        StorageError: a file is missing or cannot be written; earlier increments remain.
    """
    states = {name: file_state(folder / name) for name in STORES}
    found = [name for name, state in states.items() if state.has_tables]
    for name, state in states.items():
        # A missing or unreadable file stays listed, so that the next start reports it.
        if state.problem is not None or (name in known.files and name not in found):
            reason = state.problem or "it is gone, or has no tables"
            raise StorageError(f"{folder / name} cannot be read: {reason}", path=str(folder / name))
    carried = [state.identity.generation for state in states.values() if state.identity is not None]
    epoch = next_epoch([known.epoch, *carried])
    for name in found:
        identity = FileIdentity(
            kind=STORES[name], cluster_id=known.cluster_id, node="", generation=epoch
        )
        _raise(folder / name, identity)
    raised = msgspec.structs.replace(known, epoch=epoch, files=tuple(found))
    write_directory_id(folder, raised)
    return raised


class Keeping:
    """Increments the epoch of a held directory: when its host is ready, every minute, at its end.

    There is no write if nothing was committed in a minute.
    """

    def __init__(self, folder: Path, *, every_seconds: float = EVERY_SECONDS) -> None:
        self._folder = folder
        self._every = every_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="epochs", daemon=True)
        self._seen: Mapping[str, object] = {}

    def begin(self) -> None:
        """List the existing files: from now on a missing one is reported.

        Raises:
            StorageError: a file cannot be written.
        """
        self._raise()
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        if not self._thread.is_alive():
            return
        self._thread.join()
        self._raise_if_possible()

    def _run(self) -> None:
        while not self._stopped.wait(self._every):
            if self._changes() != self._seen:
                self._raise_if_possible()

    def _raise_if_possible(self) -> None:
        try:
            self._raise()
        except HostError as failed:
            # A full disk: retried at the next interval, and first of all at the next start.
            _log.warning("epoch-not-raised", reason=failed.message)

    def _raise(self) -> None:
        known = read_directory_id(self._folder)
        if known is None:
            raise StorageError(f"{self._folder / 'cordbox-id'} is gone")
        raise_epoch(self._folder, known)
        self._seen = self._changes()

    def _changes(self) -> Mapping[str, object]:
        """A value that changes when a store is written to: sizes and times of its files."""
        seen: dict[str, object] = {}
        for name in STORES:
            for file in (self._folder / name, self._folder / f"{name}-wal"):
                try:
                    found = file.stat()
                except OSError:
                    continue
                seen[file.name] = (found.st_size, found.st_mtime_ns)
        return seen


def _raise(path: Path, identity: FileIdentity) -> None:
    try:
        with opened(path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            give_identity(connection, identity)
            connection.execute(RAISE, (identity.generation,))
            connection.execute("COMMIT")
    except sqlite3.Error as exc:
        raise StorageError(f"database {path}: {exc}", path=str(path)) from exc
