"""The file of an image: the memory of a pinned runtime's instance after it has loaded sources.

    0    16  "cordbox image", zero bytes
    16    8  version of this form
    24    8  bytes of the memory, a multiple of 64 KiB
    32   32  SHA-256 of the runtime's component
    64   32  SHA-256 of the sources' canonical form
    96  32n  SHA-256 of each block of 64 KiB of the memory, in order
         ..  zstd frame: the memory, XOR the runtime's initial memory with zeros behind it

Numbers are unsigned and little-endian. All but the frame is the header, and the SHA-256 of the
header is the image's digest: it names runtime, sources and each byte of the memory, and does not
depend on how the frame was compressed.
"""

import hashlib
import struct
from dataclasses import dataclass

import zstandard

from sandbox.digests import digest_of, file_stem
from sandbox.limits import KIB, MIB

BLOCK_BYTES = 64 * KIB
SIZE_MAX = 256 * MIB
"""Bytes of the largest memory that an image may have."""
_LEVEL = 3
_MAGIC = b"cordbox image".ljust(16, b"\0")
_VERSION = 1
_START = struct.Struct("<16sQQ32s32s")
_DIGEST_BYTES = 32


class ImageDamagedError(ValueError):
    """The bytes are not those of an image."""


@dataclass(frozen=True, slots=True)
class Header:
    """What an image's digest is made of.

    Attributes:
        runtime: digest of the pinned runtime, `SHA-256:HEX`.
        source: digest of the sources, `SHA-256:HEX`.
        size: bytes of the memory.
        blocks: SHA-256 of each block of the memory.
    """

    runtime: str
    source: str
    size: int
    blocks: tuple[bytes, ...]

    @property
    def digest(self) -> str:
        """The image's digest, `SHA-256:HEX`."""
        return digest_of(self.encoded())

    def encoded(self) -> bytes:
        """The header's bytes."""
        runtime, source = _raw(self.runtime), _raw(self.source)
        start = _START.pack(_MAGIC, _VERSION, self.size, runtime, source)
        return b"".join((start, *self.blocks))


def header_of(runtime: str, source: str, memory: bytes | memoryview) -> Header:
    """The header of the image with that memory.

    Raises:
        ValueError: the memory is none of an instance.
    """
    view = memoryview(memory)
    if len(view) % BLOCK_BYTES or not 0 < len(view) <= SIZE_MAX:
        raise ValueError(f"memory of {len(view)} bytes")
    return Header(runtime, source, len(view), _digests(view))


def encode(header: Header, memory: bytes | memoryview, base: bytes | memoryview) -> bytes:
    """The file of an image; `base` is the runtime's initial memory."""
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(_xor(memory, base))
    return header.encoded() + packed


def decode_header(data: bytes) -> Header:
    """The header of an image's file.

    Raises:
        ImageDamagedError: it is none.
    """
    if len(data) < _START.size:
        raise ImageDamagedError("image: cut short")
    magic, version, size, runtime, source = _START.unpack_from(data)
    if (magic, version) != (_MAGIC, _VERSION):
        raise ImageDamagedError("image: not one of this version")
    if size % BLOCK_BYTES or not 0 < size <= SIZE_MAX:
        raise ImageDamagedError(f"image: memory of {size} bytes")
    count, start = size // BLOCK_BYTES, _START.size
    if len(data) < start + count * _DIGEST_BYTES:
        raise ImageDamagedError("image: cut short")
    places = range(start, start + count * _DIGEST_BYTES, _DIGEST_BYTES)
    blocks = tuple(data[at : at + _DIGEST_BYTES] for at in places)
    return Header(_text(runtime), _text(source), size, blocks)


def decode(data: bytes, base: bytes | memoryview) -> tuple[Header, bytes]:
    """Header and memory of an image's file; `base` is the runtime's initial memory.

    Raises:
        ImageDamagedError: the file is none of an image, or its memory is not the header's.
    """
    header = decode_header(data)
    frame = memoryview(data)[_START.size + len(header.blocks) * _DIGEST_BYTES :]
    try:
        if zstandard.frame_content_size(frame) != header.size:
            raise ImageDamagedError("image: the memory has another size than the header says")
        changes = zstandard.ZstdDecompressor().decompress(frame, max_output_size=header.size)
    except zstandard.ZstdError as exc:
        raise ImageDamagedError("image: the memory cannot be decompressed") from exc
    memory = _xor(changes, base)
    if _digests(memoryview(memory)) != header.blocks:
        raise ImageDamagedError("image: the memory is not the one that the header names")
    return header, memory


def changed_blocks(memory: bytes | memoryview, base: bytes | memoryview) -> list[tuple[int, int]]:
    """Start and end, in bytes, of each run of blocks in which a memory differs from `base`."""
    view, initial = memoryview(memory), memoryview(base)
    runs: list[tuple[int, int]] = []
    for start in range(0, len(view), BLOCK_BYTES):
        end = start + BLOCK_BYTES
        if view[start:end] != initial[start:end]:
            if runs and runs[-1][1] == start:
                start = runs.pop()[0]  # noqa: PLW2901  # the run goes on
            runs.append((start, end))
    return runs


def _digests(memory: memoryview) -> tuple[bytes, ...]:
    places = range(0, len(memory), BLOCK_BYTES)
    return tuple(hashlib.sha256(memory[at : at + BLOCK_BYTES]).digest() for at in places)


def _xor(memory: bytes | memoryview, base: bytes | memoryview) -> bytes:
    size = len(memory)
    if len(base) > size:
        raise ImageDamagedError("image: smaller than the runtime's initial memory")
    ours, theirs = int.from_bytes(memory, "little"), int.from_bytes(base, "little")
    return (ours ^ theirs).to_bytes(size, "little")


def _raw(digest: str) -> bytes:
    stem = file_stem(digest)
    if stem is None:
        raise ValueError(f"digest {digest!r}: expected SHA-256:HEX")
    return bytes.fromhex(stem)


def _text(raw: bytes) -> str:
    return f"SHA-256:{raw.hex().upper()}"
