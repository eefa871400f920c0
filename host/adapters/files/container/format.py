"""The format of a container, without cryptography. Pure.

    8 bytes   magic: the kind, such as CBXHOST1
    u32       length of the header, big-endian
    header    JSON, readable without a key
    rest      one age v1 stream; inside it one zstd stream of records

A record is `u32 length, MessagePack [section, sequence number, data]`. The first records hold the
manifest: what the header must be, and every section in order with its size and digest. So a reader
stops at the first excess byte, and can check at the end that nothing is missing.
"""

import hashlib
import struct
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from host.adapters.files.container.errors import ContainerDamagedError, ContainerInvalidError
from host.domain.ids import EpochMs

VERSION = 1
MAGIC_BYTES = 8
HEADER_BYTES_MAX = 64 * 1024
RECORD_BYTES_MAX = 1024 * 1024
"""Of the data of one record."""
MANIFEST_BYTES_MAX = 64 * 1024 * 1024
MANIFEST = "manifest"

_FRAME_BYTES_MAX = RECORD_BYTES_MAX + 8 * 1024
_U32 = struct.Struct(">I")


class Header(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The part before the encrypted part.

    Attributes:
        v: version of the format.
        created_at: when it was written.
        recipient: the public key that it was encrypted to, if the caller gave one.
        identity: base64 of the private key that opens it, encrypted with a passphrase.
    """

    v: int
    created_at: EpochMs = msgspec.field(name="createdAt")
    recipient: str | None = None
    identity: str | None = None


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A named part: `bytes` long, with the SHA-256 `digest` in lower-case hexadecimal digits."""

    name: str
    bytes: int
    digest: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of a container.

    Attributes:
        header: SHA-256 of the header's bytes, in hexadecimal digits.
        base: digest of the manifest that this one adds to; None when it stands alone.
        facts: values of this kind of container.
        sections: in the order in which they follow.
    """

    header: str
    base: str | None = None
    facts: dict[str, str | int]
    sections: tuple[Section, ...]


def header_bytes(magic: bytes, header: Header) -> tuple[bytes, str]:
    """The beginning of the file, and the digest of the header in it."""
    assert len(magic) == MAGIC_BYTES, magic  # noqa: S101  # a constant of the caller
    data = msgspec.json.encode(header)
    return magic + _U32.pack(len(data)) + data, hashlib.sha256(data).hexdigest()


def take_header(stream: BinaryIO, magic: bytes) -> tuple[Header, str]:
    """Read the beginning of a file: the header, and its digest.

    Raises:
        ContainerInvalidError: another file, or one of a newer release.
        ContainerDamagedError: it ends early.
    """
    found = stream.read(MAGIC_BYTES)
    if found != magic:
        raise ContainerInvalidError(
            f"expected a container that begins with {magic.decode()}, found {found[:8]!r}"
        )
    length = stream.read(_U32.size)
    size = _U32.unpack(length)[0] if len(length) == _U32.size else 0
    if not 0 < size <= HEADER_BYTES_MAX:
        raise ContainerInvalidError(f"the header has {size} bytes, 1 to {HEADER_BYTES_MAX} allowed")
    data = stream.read(size)
    if len(data) != size:
        raise ContainerDamagedError(f"the header ends after {len(data)} of {size} bytes")
    try:
        header = msgspec.json.decode(data, type=Header)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise ContainerDamagedError(f"the header is damaged: {exc}") from exc
    if header.v != VERSION:
        raise ContainerInvalidError(
            f"the container has version {header.v}, this release knows version {VERSION}"
        )
    return header, hashlib.sha256(data).hexdigest()


def record(section: str, number: int, data: bytes) -> bytes:
    """One record with its length."""
    body = msgspec.msgpack.encode((section, number, data))
    return _U32.pack(len(body)) + body


class Records:
    """Takes the unpacked stream in pieces of any size, and returns complete records."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[str, int, bytes]]:
        """The records that `data` completes.

        Raises:
            ContainerDamagedError: the data is not a record.
        """
        self._rest += data
        while len(self._rest) >= _U32.size:
            (size,) = _U32.unpack_from(self._rest)
            if not 0 < size <= _FRAME_BYTES_MAX:
                raise ContainerDamagedError(
                    f"a record has {size} bytes, at most {_FRAME_BYTES_MAX}"
                )
            if len(self._rest) < _U32.size + size:
                return
            body = bytes(self._rest[_U32.size : _U32.size + size])
            del self._rest[: _U32.size + size]
            try:
                yield msgspec.msgpack.decode(body, type=tuple[str, int, bytes])
            except (ValueError, RecursionError) as exc:
                raise ContainerDamagedError(f"a record is damaged: {exc}") from exc

    @property
    def is_between(self) -> bool:
        """Whether no record is incomplete."""
        return not self._rest


def manifest_digest(manifest: Manifest) -> str:
    """What a container that adds to this one names it by: SHA-256, in hexadecimal digits."""
    return hashlib.sha256(msgspec.json.encode(manifest)).hexdigest()


def decode_manifest(data: bytes, *, may_add: bool = False) -> Manifest:
    """The manifest.

    Args:
        data: its bytes.
        may_add: whether it may add to another container.

    Raises:
        ContainerDamagedError: other bytes.
        ContainerInvalidError: it adds to another container, and may not.
    """
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise ContainerDamagedError(f"the manifest is damaged: {exc}") from exc
    if manifest.base is not None and not may_add:
        raise ContainerInvalidError("the container adds to another one: a whole one is needed")
    names = [section.name for section in manifest.sections]
    if len(set(names)) != len(names) or MANIFEST in names:
        raise ContainerDamagedError("the manifest names a section twice")
    if any(section.bytes < 0 for section in manifest.sections):
        raise ContainerDamagedError("the manifest has a section of less than no bytes")
    return manifest
