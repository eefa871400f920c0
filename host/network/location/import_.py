"""Reads the file of a node: whole and checked before anything of it is stored, then part by part.

An import that was interrupted is erased and begun anew from its file.
"""

import io
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from host.adapters.files.container import (
    ContainerInvalidError,
    Manifest,
    Opener,
    Section,
    Target,
    read_container,
)
from host.domain.ids import HoldingIdentity
from host.network.location.export import SECRET, Report, reported
from host.network.location.node_file import (
    MAGIC,
    MANIFEST_BYTES_MAX,
    SIGNATURE,
    holding_of,
    read_items,
)
from host.network.location.room import check_room
from host.network.location.signing import check_signature
from host.ports.node_contents import NodeContents
from host.ports.public_keys import PublicKeys

Admit = Callable[[HoldingIdentity, Manifest], None]
"""Refuses a node that may not come here, before anything of its file is unpacked."""


class Importer:
    """Reads files of nodes.

    Args:
        contents: what each feature keeps of a node, in the order in which it is loaded.
        public_keys: check signatures.
    """

    def __init__(self, contents: Sequence[NodeContents], public_keys: PublicKeys) -> None:
        self._contents = contents
        self._public_keys = public_keys

    def read(
        self, file: Path, folder: Path, *, opener: Opener, admit: Admit, report: Report
    ) -> "Unpacked":
        """Unpack and check a file; nothing is stored.

        Raises:
            ContainerInvalidError, ContainerDamagedError, ContainerKeyError: it cannot be read.
            DiskFullError: what it says that it holds does not fit on the disk.
            HostError: `admit` refuses its node.
        """
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
        known = {each.name: each.version for each in self._contents}
        memory = dict[str, _Kept]()
        total, done = file.stat().st_size, 0

        def accept(manifest: Manifest) -> None:
            nonlocal total
            total = sum(section.bytes for section in manifest.sections)
            admit(holding_of(manifest, known), manifest)
            _check_kept(manifest)
            check_room(folder, _COPIES * total)

        def target(section: Section) -> Target:
            if section.name in SECRET or section.name == SIGNATURE:
                memory[section.name] = _Kept()
                return memory[section.name]
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            return os.fdopen(os.open(folder / section.name, flags, 0o600), "wb")

        def progress(count: int) -> None:
            nonlocal done
            done += count
            report("unpack", done, total)

        with file.open("rb") as stream:
            manifest = read_container(
                stream,
                magic=MAGIC,
                opener=opener,
                accept=accept,
                open_target=target,
                progress=progress,
                manifest_bytes_max=MANIFEST_BYTES_MAX,
            )
        kept = {name: each.content for name, each in memory.items()}
        owned = [_public_key(item) for item in read_items(io.BytesIO(kept.get("keys", b"")))]
        check_signature(manifest, kept[SIGNATURE], owned, self._public_keys)
        return Unpacked(holding_of(manifest, known), manifest, folder, kept)

    def load(self, unpacked: "Unpacked", report: Report) -> None:
        """Store everything; raises as `NodeContents.load`."""
        total = sum(section.bytes for section in unpacked.manifest.sections)
        done = 0
        sizes = {section.name: section.bytes for section in unpacked.manifest.sections}
        for content in self._contents:
            if content.name not in sizes:
                continue
            version = unpacked.manifest.facts[f"version.{content.name}"]
            with unpacked.opened(content.name) as stream:
                items = reported(read_items(stream), content.name, report, done, total)
                content.load(unpacked.holding, items, int(version))
            done += sizes[content.name]

    def erase(self, holding: HoldingIdentity) -> None:
        """Delete everything of a node, what was loaded last first."""
        for content in reversed(self._contents):
            content.erase(holding)


class Unpacked:
    """A file that was checked: its sections are files in `folder`, those of secrets in memory."""

    def __init__(
        self,
        holding: HoldingIdentity,
        manifest: Manifest,
        folder: Path,
        kept: Mapping[str, bytes],
    ) -> None:
        self.holding = holding
        self.manifest = manifest
        self._folder = folder
        self._kept = kept

    def opened(self, name: str) -> BinaryIO:
        """The content of a section."""
        if name in self._kept:
            return io.BytesIO(self._kept[name])
        return (self._folder / name).open("rb")


class _Kept:
    """A target in memory."""

    def __init__(self) -> None:
        self._stream = io.BytesIO()

    @property
    def content(self) -> bytes:
        return self._stream.getvalue()

    def write(self, data: bytes) -> int:
        return self._stream.write(data)

    def close(self) -> None:
        """Nothing: the content is kept."""


_KEPT_MAX = 64 * 1024 * 1024
_COPIES = 2
"""Of what a file holds: unpacked, and as stored."""


def _check_kept(manifest: Manifest) -> None:
    """Refuse what would take too much memory, before any of it is unpacked."""
    for section in manifest.sections:
        if section.name in SECRET and section.bytes > _KEPT_MAX:
            raise ContainerInvalidError(
                f"section {section.name} has {section.bytes} bytes, at most {_KEPT_MAX}"
            )


def _public_key(item: bytes) -> str:
    """The PEM of a key's item; its form is checked where it is loaded."""
    try:
        return _named_keys.decode(item).public_key
    except (ValueError, RecursionError):
        return ""


class _NamedKey(msgspec.Struct, frozen=True, array_like=True):
    """The beginning of an item of keys."""

    category: str
    alias: str
    scheme: str
    public_key: str


_named_keys = msgspec.msgpack.Decoder(_NamedKey)
