"""Validates a data directory at start: it is new, consistent, or refused."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from host.adapters.files.identity.directory_id import (
    DirectoryId,
    read_directory_id,
    write_directory_id,
)
from host.adapters.files.identity.errors import DataFileError, DataFilesInOrderError, error_of
from host.adapters.files.identity.files import STORES, evidence, file_state
from host.adapters.files.identity.findings import Finding
from host.adapters.files.identity.judgement import judge
from host.adapters.files.identity.keeping import raise_epoch
from host.adapters.files.identity.marks import NAME as MARKS
from host.adapters.files.identity.marks import Marks, read_marks
from host.domain.errors import StorageError
from host.domain.ids import EpochMs

STAYS = ("lock", "joined", "probe", "run")
"""Entries that belong to the running host and not to a cluster."""
SET_ASIDE = "set-aside-"


def inspect(folder: Path) -> Sequence[Finding]:
    """Find problems of the stores of a data directory, without changing anything.

    Raises:
        StorageError: `cordbox-id` cannot be read.
    """
    known = read_directory_id(folder)
    try:
        # Before the stores: a running host may commit in between.
        marks = read_marks(folder, None if known is None else known.cluster_id)
    except DataFileError as exc:
        expected, found = "marks of this cluster", "another file"
        return [
            Finding(code=exc.code, file=MARKS, message=exc.message, expected=expected, found=found)
        ]
    states = {name: file_state(folder / name) for name in STORES}
    return judge(known, states, evidence(folder), marks)


def verify_directory(folder: Path, *, is_new: bool = False) -> DirectoryId:
    """Check that the files of a data directory belong together, and record a host's start.

    The caller holds the directory.

    Args:
        folder: the data directory.
        is_new: begin a new cluster if the files do not belong together; existing files are moved to
            its folder `set-aside-<time>`, none is deleted.

    Raises:
        DataFileError: the files do not belong together.
        DataFilesInOrderError: they do, and a new cluster was requested.
        StorageError: the directory cannot be read or written.
    """
    findings = inspect(folder)
    known = read_directory_id(folder)
    if is_new and (known is not None or findings):
        if not findings:
            raise DataFilesInOrderError(
                f"data directory {folder} holds a cluster in good order; a new one needs a"
                " directory of its own",
                path=str(folder),
            )
        _set_aside(folder)
        known = None
    elif findings:
        raise error_of([replace(f, message=f"{folder}: {f.message}") for f in findings])
    if known is None:
        known = fresh_id()
        write_directory_id(folder, known)
    if not known.has_marks:
        if read_marks(folder, known.cluster_id) is None:
            Marks.make(folder, known.cluster_id)
        known = msgspec.structs.replace(known, has_marks=True)
    return raise_epoch(folder, known)


def fresh_id(cluster_id: str | None = None, *, epoch: int = 0) -> DirectoryId:
    """The id of a new cluster, or a new store id of a known one."""
    return DirectoryId(
        cluster_id=cluster_id or str(uuid.uuid4()),
        store_id=str(uuid.uuid4()),
        made_at=EpochMs(time.time_ns() // 1_000_000),
        epoch=epoch,
    )


def with_new_store_id(known: DirectoryId) -> DirectoryId:
    """The same cluster after a restore."""
    fresh = fresh_id(known.cluster_id)
    return msgspec.structs.replace(
        known, store_id=fresh.store_id, made_at=fresh.made_at, has_marks=False
    )


def _set_aside(folder: Path) -> None:
    at = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    target = folder / f"{SET_ASIDE}{at}"
    try:
        target.mkdir(mode=0o700)
        for entry in sorted(folder.iterdir()):
            if entry.name not in STAYS and not entry.name.startswith(SET_ASIDE):
                entry.rename(target / entry.name)
    except OSError as exc:
        raise StorageError(f"{target} cannot be made: {exc.strerror}", path=str(target)) from exc
