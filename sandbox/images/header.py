"""What an image's digest is made of: the header of its file (`sandbox.images.format`)."""

import hashlib
import struct
from dataclasses import dataclass

from sandbox.digests import digest_of, file_stem
from sandbox.limits import KIB, MIB

BLOCK_BYTES = 64 * KIB
SIZE_MAX = 256 * MIB
"""Bytes of the largest memory that an image may have."""
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
    return Header(runtime, source, len(view), block_digests(view))


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


def block_digests(memory: memoryview) -> tuple[bytes, ...]:
    """The SHA-256 of each block of a memory."""
    places = range(0, len(memory), BLOCK_BYTES)
    return tuple(hashlib.sha256(memory[at : at + BLOCK_BYTES]).digest() for at in places)


def _raw(digest: str) -> bytes:
    stem = file_stem(digest)
    if stem is None:
        raise ValueError(f"digest {digest!r}: expected SHA-256:HEX")
    return bytes.fromhex(stem)


def _text(raw: bytes) -> str:
    return f"SHA-256:{raw.hex().upper()}"
