"""Writes the file of a node that stands still; run again after any interruption."""

import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from host.adapters.files.container import Sealer, Section, write_container
from host.adapters.files.durable_files import sync_folder
from host.domain.ids import EpochMs, HoldingIdentity
from host.network.location.node_file import MAGIC, SIGNATURE, facts_of, write_items
from host.network.location.signing import signature, signing_key
from host.ports.keys import KeyStore
from host.ports.node_contents import NodeContents
from host.ports.public_keys import PublicKeys

FILE_NAME = "node.cbxnode"
SECRET = frozenset({"keys", "group"})
"""Sections that are kept in memory: they must not be on a disk in clear."""

Report = Callable[[str, int, int], None]
"""Called with the stage, the bytes done, and the total, which is 0 until it is known."""


def reported(
    items: Iterable[bytes], stage: str, report: Report, before: int = 0, total: int = 0
) -> Iterator[bytes]:
    """Items, each told of when it is taken; `before` are the bytes that were done before them."""
    report(stage, before, total)
    done = before
    for item in items:
        done += len(item)
        report(stage, done, total)
        yield item


class Exporter:
    """Writes files of nodes.

    Args:
        contents: what each feature keeps of a node, in the order in which it is loaded.
        keys: sign the file.
        public_keys: know the spec.
    """

    def __init__(
        self, contents: Sequence[NodeContents], keys: KeyStore, public_keys: PublicKeys
    ) -> None:
        self._contents = contents
        self._keys = keys
        self._public_keys = public_keys

    def write(
        self,
        holding: HoldingIdentity,
        folder: Path,
        *,
        export_id: str,
        at: EpochMs,
        epoch: int,
        sealer: Sealer,
        report: Report,
        together: str | None = None,
    ) -> int:
        """Write the file into `folder`, which is made anew; returns its size.

        Raises:
            HostError: something cannot be read, or cannot leave.
            OSError: the folder cannot be written.
        """
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
        secrets = dict[str, bytes]()
        sections = [
            self._section(each, holding, folder, secrets, report) for each in self._contents
        ]
        key = signing_key(self._keys, holding).public_key
        facts = facts_of(
            holding,
            export_id=export_id,
            at=at,
            epoch=epoch,
            key=key,
            spec=self._public_keys.default_spec(key),
            versions={each.name: each.version for each in self._contents},
            together=together,
        )
        signed = signature(self._keys, self._public_keys, holding, facts, sections)
        secrets[SIGNATURE] = signed
        digest = hashlib.sha256(signed).hexdigest()
        sections.append(Section(name=SIGNATURE, bytes=len(signed), digest=digest))
        self._seal(folder, sections, facts, sealer=sealer, secrets=secrets, at=at, report=report)
        for section in sections:
            (folder / section.name).unlink(missing_ok=True)
        return (folder / FILE_NAME).stat().st_size

    def _section(
        self,
        content: NodeContents,
        holding: HoldingIdentity,
        folder: Path,
        secrets: dict[str, bytes],
        report: Report,
    ) -> Section:
        items = reported(content.dump(holding), content.name, report)
        if content.name in SECRET:
            memory = io.BytesIO()
            section = write_items(memory, items)
            secrets[content.name] = memory.getvalue()
            return _named(content.name, section)
        with _private(folder / content.name) as stream:
            return _named(content.name, write_items(stream, items))

    def _seal(
        self,
        folder: Path,
        sections: Sequence[Section],
        facts: Mapping[str, str | int],
        *,
        sealer: Sealer,
        secrets: Mapping[str, bytes],
        at: EpochMs,
        report: Report,
    ) -> None:
        total, done = sum(section.bytes for section in sections), 0

        def progress(count: int) -> None:
            nonlocal done
            done += count
            report("encrypt", done, total)

        def opened(name: str) -> BinaryIO:
            if name in secrets:
                return io.BytesIO(secrets[name])
            return (folder / name).open("rb")

        draft = folder / f".{FILE_NAME}"
        with _private(draft) as stream:
            write_container(
                stream,
                magic=MAGIC,
                sealer=sealer,
                created_at=at,
                facts=facts,
                sections=sections,
                open_section=opened,
                progress=progress,
            )
            stream.flush()
            os.fsync(stream.fileno())
        draft.rename(folder / FILE_NAME)
        sync_folder(folder)


def _named(name: str, section: Section) -> Section:
    return msgspec.structs.replace(section, name=name)


def _private(path: Path) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb")
