"""Writes containers: content is streamed through compression and encryption, in little memory."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO, cast

import msgspec
import pyrage
import zstandard

from host.adapters.files.container.errors import ContainerDamagedError
from host.adapters.files.container.format import (
    MANIFEST,
    RECORD_BYTES_MAX,
    Manifest,
    Section,
    header_bytes,
    manifest_digest,
    record,
)
from host.adapters.files.container.keys import Sealer
from host.domain.ids import EpochMs

_LEVEL = 3

Progress = Callable[[int], None]
"""Called with the number of content bytes handled since the last call."""


def write_container(
    stream: BinaryIO,
    *,
    magic: bytes,
    sealer: Sealer,
    created_at: EpochMs,
    facts: Mapping[str, str | int],
    sections: Iterable[Section],
    open_section: Callable[[str], BinaryIO],
    progress: Progress,
    base: str | None = None,
) -> str:
    """Write a whole container to `stream`; returns the digest of its manifest.

    Args:
        stream: the target.
        magic: the kind, eight bytes.
        sealer: encrypts it.
        created_at: the time in the header.
        facts: values of this kind of container, stored in the manifest.
        sections: the sections in order.
        open_section: returns the content of a section by name.
        progress: called for every piece.
        base: digest of the manifest of the container that this one adds to.

    Raises:
        ContainerDamagedError: a section's content ends before its size.
        OSError: reading or writing fails.
    """
    head, digest = header_bytes(magic, sealer.header(created_at))
    stream.write(head)
    manifest = Manifest(header=digest, base=base, facts=dict(facts), sections=tuple(sections))
    source = _Pulled(_records(manifest, open_section, progress))
    compressed = zstandard.ZstdCompressor(level=_LEVEL).stream_reader(cast("BinaryIO", source))
    target = _Filled(stream)
    try:
        pyrage.encrypt_io(compressed, cast("BinaryIO", target), [sealer.recipient])
    except pyrage.EncryptError:
        # The library reports errors of our streams only as text; `failure` is the original error.
        failure = source.failure or target.failure
        if failure is not None:
            raise failure from None
        raise
    return manifest_digest(manifest)


class _Filled:
    """A writable stream that keeps the error of a failed write."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.failure: BaseException | None = None

    def write(self, data: bytes) -> int:
        try:
            return self._stream.write(data)
        except BaseException as exc:
            self.failure = exc
            raise

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BaseException as exc:
            self.failure = exc
            raise


class _Pulled:
    """A readable stream over what an iterator gives."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""
        self.failure: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            while not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    return b""
                self._rest = piece
        except BaseException as exc:
            self.failure = exc
            raise
        taken = self._rest if size < 0 else self._rest[:size]
        self._rest = self._rest[len(taken) :]
        return taken


def _records(
    manifest: Manifest, open_section: Callable[[str], BinaryIO], progress: Progress
) -> Iterator[bytes]:
    data = msgspec.json.encode(manifest)
    for number, start in enumerate(range(0, len(data), RECORD_BYTES_MAX)):
        yield record(MANIFEST, number, data[start : start + RECORD_BYTES_MAX])
    for section in manifest.sections:
        left, number = section.bytes, 0
        with open_section(section.name) as content:
            while left:
                piece = content.read(min(left, RECORD_BYTES_MAX))
                if not piece:
                    raise ContainerDamagedError(
                        f"section {section.name} ends {left} bytes early while it is written"
                    )
                yield record(section.name, number, piece)
                progress(len(piece))
                left -= len(piece)
                number += 1
