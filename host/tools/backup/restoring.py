"""Restores a backup as a data directory: complete and verified, or not at all."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from host.adapters.files.container import (
    ContainerInvalidError,
    Manifest,
    Opener,
    Section,
    Target,
    read_container,
)
from host.adapters.files.data_directory import DataDirectoryLockedError, is_held
from host.adapters.files.durable_files import sync_folder
from host.adapters.files.identity import read_directory_id
from host.adapters.files.identity.directory_id import write_directory_id
from host.adapters.files.identity.errors import error_of
from host.adapters.files.identity.verification import inspect, with_new_store_id
from host.domain.errors import StorageError
from host.domain.ids import EpochMs
from host.domain.json import JsonValue
from host.ports.clock import Clock
from host.runtime.wiring.offline_acts import offline_act
from host.tools.backup.audit_entries import add_restored_entries
from host.tools.backup.errors import BackupContentError, RestoreTargetError
from host.tools.backup.layout import ID_FILE, KIND, MAGIC, SHARED_KIND, STORES, is_name
from host.tools.backup.restored_notaries import mark_restored
from host.tools.backup.staging import working_folder

Progress = Callable[[int, int], None]
"""Called with the bytes done, and the total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A data directory that was restored.

    Attributes:
        folder: its path.
        at: the time of the cut.
        sections: how many files it has.
        cluster_id: of the cluster, as before.
        store_id: the new one of the restored cluster.
    """

    folder: Path
    at: EpochMs
    sections: int
    cluster_id: str
    store_id: str


def restore(
    file: Path, folder: Path, *, opener: Opener, clock: Clock, progress: Progress
) -> Restored:
    """Restore the backup in `file` to `folder`, which must be missing or empty.

    Raises:
        DataDirectoryLockedError: a host runs on `folder`.
        RestoreTargetError: `folder` is not empty.
        ContainerKeyError: the passphrase or key is wrong.
        ContainerInvalidError: `file` is not a backup.
        ContainerDamagedError: the backup was cut or changed.
        BackupContentError: it contains files that do not belong in a data directory.
        StorageError: something cannot be read or written. After every error `folder` is unchanged.
    """
    folder = folder.absolute()
    check_target(folder)
    try:
        stream = file.open("rb")
    except OSError as exc:
        raise StorageError(f"{file}: {exc.strerror}", path=str(file)) from exc
    with stream:
        make_folder(folder.parent)
        with working_folder(folder.with_name(f".{folder.name}.restoring")) as draft:
            content = draft / "content"
            content.mkdir(mode=0o700)
            try:
                manifest = unpack_base(stream, content, opener, progress)
            except OSError as exc:
                raise not_written(folder, exc) from exc
            at, cluster = EpochMs(int(manifest.facts["at"])), str(manifest.facts["clusterId"])
            store_id = put_in_place(
                content,
                folder,
                cluster_id=cluster,
                at=at,
                backup=manifest.header,
                clock=clock,
                is_shared=manifest.facts["kind"] == SHARED_KIND,
            )
    return Restored(
        folder=folder,
        at=at,
        sections=len(manifest.sections),
        cluster_id=cluster,
        store_id=store_id,
    )


def put_in_place(
    content: Path,
    folder: Path,
    *,
    cluster_id: str,
    at: EpochMs,
    backup: str,
    clock: Clock,
    is_shared: bool = False,
) -> str:
    """Make the verified files of a backup the data directory `folder`; returns the new store id.

    Args:
        content: the files, beside `folder`.
        folder: must be missing or empty.
        cluster_id: that the backup says it is of.
        at: the time of its cut.
        backup: digest that names it.
        clock: returns the time.
        is_shared: the files are those of a host of a cluster, which has its stores elsewhere.

    Raises:
        BackupContentError: the files are of another cluster.
        RestoreTargetError: `folder` is not empty.
        StorageError: something cannot be written.
    """
    store_id = _begin_anew(content, cluster_id)
    with nullcontext() if is_shared else _recorded(content, at, backup):
        add_restored_entries(content, of=at, store_id=store_id, backup=backup, now=clock.now_ms())
    _rename(content, folder)
    return store_id


@contextmanager
def _recorded(content: Path, at: EpochMs, backup: str) -> Iterator[None]:
    """Tell the stores of the directory of the restore."""
    mark_restored(content)
    facts: dict[str, JsonValue] = {"of": at, "backup": backup}
    with offline_act(content, "host restore", parameters=facts):
        yield


def check_target(folder: Path) -> None:
    """Refuse a target that is not missing or empty.

    Raises:
        DataDirectoryLockedError: a host runs on it.
        RestoreTargetError: it is not empty.
    """
    if not folder.exists():
        return
    if is_held(folder):
        raise DataDirectoryLockedError(f"a host runs on {folder}", path=str(folder))
    if not folder.is_dir() or any(folder.iterdir()):
        raise RestoreTargetError(
            f"{folder} is not empty: a backup is restored to a new directory", path=str(folder)
        )


def unpack_base(stream: BinaryIO, content: Path, opener: Opener, progress: Progress) -> Manifest:
    """Unpack a whole backup to an empty folder; returns its manifest once it is verified.

    Raises:
        ContainerKeyError, ContainerInvalidError, ContainerDamagedError: see `read_container`.
        BackupContentError: it contains files that do not belong in a data directory.
        OSError: a file cannot be written.
    """
    done = total = 0

    def accept(manifest: Manifest) -> None:
        nonlocal total
        _accept(manifest)
        total = sum(section.bytes for section in manifest.sections)

    def count(size: int) -> None:
        nonlocal done
        done += size
        progress(done, total)

    return read_container(
        stream,
        magic=MAGIC,
        opener=opener,
        accept=accept,
        open_target=lambda section: _target(content, section),
        progress=count,
    )


def _accept(manifest: Manifest) -> None:
    facts = manifest.facts
    if facts.get("kind") not in (KIND, SHARED_KIND):
        raise ContainerInvalidError(f"expected a backup of a host, found {facts.get('kind')!r}")
    if not isinstance(facts.get("at"), int) or not isinstance(facts.get("clusterId"), str):
        raise BackupContentError("the backup does not say when and of which cluster it is")
    names = {section.name for section in manifest.sections}
    for name in names:
        if not is_name(name):
            raise BackupContentError(f"a data directory has no place for {name[:128]!r}")
    for name in (ID_FILE, *(STORES if facts["kind"] == KIND else ())):
        if name not in names:
            raise BackupContentError(f"the backup has no {name}")


def _target(content: Path, section: Section) -> Target:
    path = content / section.name
    for folder in reversed(path.relative_to(content).parents[:-1]):
        (content / folder).mkdir(mode=0o700, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return _Synced(os.fdopen(os.open(path, flags, 0o600), "wb"))


class _Synced:
    """A file that is synchronised to disk when it is closed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        return self._stream.write(data)

    def close(self) -> None:
        with self._stream:
            self._stream.flush()
            os.fsync(self._stream.fileno())


def _begin_anew(content: Path, cluster_id: str) -> str:
    """Give the directory a new store id, after checking that its files belong together."""
    known = read_directory_id(content)
    if known is None or known.cluster_id != cluster_id:
        raise BackupContentError("the backup's files are of another cluster than it says")
    anew = with_new_store_id(known)
    write_directory_id(content, anew)
    findings = inspect(content)
    if findings:
        raise error_of(findings)
    return anew.store_id


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise StorageError(f"{folder} cannot be made: {exc.strerror}", path=str(folder)) from exc


def _rename(content: Path, folder: Path) -> None:
    """Give the restored directory its name, once everything in it is durable."""
    try:
        for path in [content, *content.rglob("*")]:
            if path.is_dir():
                sync_folder(path)
    except OSError as exc:
        raise not_written(folder, exc) from exc
    check_target(folder)
    # This replaces an empty folder or none, never one with content.
    try:
        content.rename(folder)
    except OSError as exc:
        raise RestoreTargetError(
            f"{folder} cannot be put in place: {exc.strerror}", path=str(folder)
        ) from exc
    try:
        sync_folder(folder.parent)
    except OSError as exc:
        folder.rename(content)
        raise not_written(folder, exc) from exc


def not_written(folder: Path, cause: OSError) -> StorageError:
    """The refusal of a data directory that cannot be written."""
    return StorageError(f"{folder} cannot be written: {cause.strerror}", path=str(folder))
