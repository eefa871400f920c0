"""A standby: it keeps the files of a continuous backup ready, and takes over from them.

Beside the data directory that is to appear lies a draft, `.NAME.standby`, with the files as of the
newest part that has arrived. A part is verified as a whole before any of it is applied. Applying it
again changes nothing, so a standby that was killed goes on; before a take-over every file is
compared with the digest that the parts name.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast

import msgspec

from host.adapters.files.container import (
    ContainerDamagedError,
    ContainerInvalidError,
    Manifest,
    Opener,
    Section,
    Target,
    manifest_digest,
    read_container,
)
from host.adapters.files.durable_files import write_durably
from host.domain.errors import StorageError
from host.domain.ids import EpochMs
from host.ports.clock import Clock
from host.tools.backup import chain
from host.tools.backup.blocks import apply_blocks
from host.tools.backup.chain import BackupChainBrokenError, FileState, Segment
from host.tools.backup.layout import MAGIC
from host.tools.backup.restoring import (
    Restored,
    check_target,
    make_folder,
    not_written,
    put_in_place,
    unpack_base,
)
from host.tools.backup.staging import held_folder

OpenerOf = Callable[[Path], Opener]
"""The key of a part, by its file."""


class _State(msgspec.Struct, frozen=True, kw_only=True):
    """What a draft holds: the newest part that was applied to it, and its files."""

    number: int
    digest: str
    at: EpochMs
    cluster_id: str
    files: dict[str, FileState]


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A part that was applied to the draft: its number, and the time of its cut."""

    number: int
    at: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenOver:
    """A standby that has become a data directory; `left_out` is a torn newest part, if any."""

    restored: Restored
    number: int
    left_out: Path | None


class Standby:
    """The draft of a data directory `folder`, from the continuous backup in `source`.

    Use as a context manager: the draft is this process's alone, and stays afterwards.

    Raises:
        DataDirectoryLockedError: a host runs on `folder`.
        RestoreTargetError: `folder` is not empty.
        BackupBusyError: another process has the draft.
        StorageError: the draft cannot be made.
    """

    def __init__(self, source: Path, folder: Path, *, opener_of: OpenerOf, clock: Clock) -> None:
        self._source = source
        self._folder = folder.absolute()
        self._draft = self._folder.with_name(f".{self._folder.name}.standby")
        self._content = self._draft / "content"
        self._incoming = self._draft / "incoming"
        self._state_file = self._draft / "state"
        self._opener_of = opener_of
        self._clock = clock
        self._state: _State | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        check_target(self._folder)
        make_folder(self._folder.parent)
        self._stack.enter_context(held_folder(self._draft))
        with suppress(OSError, msgspec.MsgspecError):
            self._state = msgspec.json.decode(self._state_file.read_bytes(), type=_State)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def advance(self) -> Sequence[Applied]:
        """Apply the parts that have arrived, and return them.

        Raises:
            BackupChainBrokenError: a part does not continue the one before it.
            ContainerKeyError, ContainerInvalidError, ContainerDamagedError: a part is no backup,
                or has not arrived whole; parts before it are applied.
            BackupContentError: it contains files that do not belong in a data directory.
            StorageError: something cannot be read or written.
        """
        return self._apply_parts(None)

    def take_over(self) -> TakenOver:
        """Apply all parts, verify every file, and make the data directory.

        A newest part that is torn is left out: it was being written, or sent, when its host failed.

        Raises:
            BackupChainBrokenError: there is no base, or a part before the newest one is damaged.
            and those of `advance` and `put_in_place`.
        """
        left_out = self._apply_whole_ones()
        if not self._is_as_said():
            # Power failed here since parts were applied: begin with the base again.
            self._state = None
            left_out = self._apply_whole_ones()
            if not self._is_as_said():
                raise StorageError(f"{self._draft} is not as it was written", path=str(self._draft))
        state = self._state
        if state is None:
            raise BackupChainBrokenError(f"{self._source} has no base", path=str(self._source))
        try:
            _synchronise(self._content)
        except OSError as exc:
            raise not_written(self._folder, exc) from exc
        store_id = put_in_place(
            self._content,
            self._folder,
            cluster_id=state.cluster_id,
            at=state.at,
            backup=state.digest,
            clock=self._clock,
        )
        shutil.rmtree(self._draft, ignore_errors=True)
        restored = Restored(
            folder=self._folder,
            at=state.at,
            sections=len(state.files),
            cluster_id=state.cluster_id,
            store_id=store_id,
        )
        return TakenOver(restored=restored, number=state.number, left_out=left_out)

    def _apply_parts(self, torn: Segment | None) -> Sequence[Applied]:
        """Apply all parts that have arrived but `torn`."""
        applied = []
        for segment in self._missing(torn):
            try:
                state = self._begin(segment) if segment.is_base else self._add(segment)
                write_durably(self._state_file, [msgspec.json.encode(state)])
            except OSError as exc:
                raise not_written(self._folder, exc) from exc
            self._state = state
            applied.append(Applied(number=state.number, at=state.at))
        return applied

    def _missing(self, torn: Segment | None) -> Sequence[Segment]:
        """The parts that are to be applied, in order; those after a gap have to wait."""
        found = [each for each in self._waiting() if each != torn]
        bases = [index for index, each in enumerate(found) if each.is_base]
        if bases:
            found = found[bases[-1] :]
        elif self._state is None or not found:
            return []
        first = found[0].number if self._state is None or bases else self._state.number + 1
        return [each for offset, each in enumerate(found) if each.number == first + offset]

    def _waiting(self) -> Sequence[Segment]:
        done = 0 if self._state is None else self._state.number
        return [each for each in chain.segments(self._source) if each.number > done]

    def _apply_whole_ones(self) -> Path | None:
        """Apply all parts; returns the newest one if it is torn."""
        torn = None
        try:
            self._apply_parts(None)
        except ContainerDamagedError as exc:
            newest = chain.segments(self._source)[-1]
            damaged = self._missing(None)[0]
            if damaged != newest:
                raise BackupChainBrokenError(
                    f"{damaged.path} is damaged ({exc.message}), and there are parts after it",
                    path=str(damaged.path),
                ) from exc
            torn = newest
            # A torn base: the parts before it, which it would have replaced, are still there.
            self._apply_parts(torn)
        lacking = [each for each in self._waiting() if each != torn]
        if lacking and self._state is not None:
            raise BackupChainBrokenError(
                f"{self._source} lacks the part before {lacking[0].path.name}",
                path=str(self._source),
            )
        return None if torn is None else torn.path

    def _begin(self, segment: Segment) -> _State:
        """Replace the draft's files by those of a base."""
        self._empty_incoming()
        with segment.path.open("rb") as stream:
            opener = self._opener_of(segment.path)
            manifest = unpack_base(stream, self._incoming, opener, lambda _done, _total: None)
        before = self._state
        if before is not None and manifest.facts["clusterId"] != before.cluster_id:
            raise BackupChainBrokenError(
                f"{segment.path} is of another cluster than part {before.number}: two hosts write"
                f" to {self._source}, or {self._draft} is to be deleted",
                path=str(segment.path),
            )
        self._state_file.unlink(missing_ok=True)
        shutil.rmtree(self._content, ignore_errors=True)
        self._incoming.rename(self._content)
        files = {
            section.name: FileState(bytes=section.bytes, digest=section.digest)
            for section in manifest.sections
        }
        return _state(segment, manifest, files)

    def _add(self, segment: Segment) -> _State:
        """Apply the changes of a part to the draft's files, once they are verified."""
        before = self._state
        if before is None:
            raise BackupChainBrokenError(f"{segment.path} has no base", path=str(segment.path))
        self._empty_incoming()

        def accept(manifest: Manifest) -> None:
            _accept_changes(manifest, before, segment.path)

        with segment.path.open("rb") as stream:
            manifest = read_container(
                stream,
                magic=MAGIC,
                opener=self._opener_of(segment.path),
                accept=accept,
                open_target=self._incoming_file,
                progress=lambda _bytes: None,
                may_add=True,
            )
        parts = {each.name: index for index, each in enumerate(manifest.sections)}
        listing = chain.decode_listing(
            (self._incoming / str(parts.pop(chain.LISTING))).read_bytes(), parts
        )
        for name, state in listing.changed.items():
            self._apply(self._incoming / str(parts[name]), name, state)
        for name in listing.removed:
            (self._content / name).unlink(missing_ok=True)
        kept = {name: s for name, s in before.files.items() if name not in listing.removed}
        return _state(segment, manifest, {**kept, **listing.changed})

    def _apply(self, changes: Path, name: str, state: FileState) -> None:
        path = self._content / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        with changes.open("rb") as source, path.open("r+b") as target:
            apply_blocks(source, target, state.bytes)

    def _empty_incoming(self) -> None:
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir(mode=0o700)
        self._incoming_count = 0

    def _incoming_file(self, _section: Section) -> Target:
        """Files for sections, named by their order: names of strangers are no paths yet."""
        path = self._incoming / str(self._incoming_count)
        self._incoming_count += 1
        path.touch(mode=0o600)
        return cast("Target", path.open("wb"))

    def _is_as_said(self) -> bool:
        """Whether the draft has exactly the files that the parts name, or there was no base."""
        if self._state is None:
            return True
        files = self._state.files
        found = {
            str(path.relative_to(self._content))
            for path in self._content.rglob("*")
            if not path.is_dir()
        }
        return found == set(files) and all(
            _digest(self._content / name) == file.digest for name, file in files.items()
        )


def _accept_changes(manifest: Manifest, before: _State, path: Path) -> None:
    facts = manifest.facts
    if facts.get("kind") != chain.KIND or not isinstance(facts.get("at"), int):
        raise ContainerInvalidError(f"expected changes of a host, found {facts.get('kind')!r}")
    if manifest.base != before.digest or facts.get("clusterId") != before.cluster_id:
        raise BackupChainBrokenError(
            f"{path} does not continue part {before.number}", path=str(path)
        )
    first = manifest.sections[:1]
    if not first or first[0].name != chain.LISTING or first[0].bytes > chain.LISTING_BYTES_MAX:
        raise ContainerInvalidError("changes of a host begin with a listing")


def _state(segment: Segment, manifest: Manifest, files: dict[str, FileState]) -> _State:
    return _State(
        number=segment.number,
        digest=manifest_digest(manifest),
        at=EpochMs(int(manifest.facts["at"])),
        cluster_id=str(manifest.facts["clusterId"]),
        files=files,
    )


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _synchronise(content: Path) -> None:
    for path in content.rglob("*"):
        if not path.is_dir():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
