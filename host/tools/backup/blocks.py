"""Files as blocks: which blocks differ from an earlier state of a file, and their content.

The content of changed blocks is a sequence of records: the block's number as u32, big-endian, and
the block. All blocks have `BLOCK_BYTES`, but the last one of a file, which ends with the file.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, Self

from host.adapters.files.container import ContainerDamagedError, Section
from host.domain.errors import StorageError

BLOCK_BYTES = 16 * 1024
_DIGEST_BYTES = 16
_NUMBER = struct.Struct(">I")
_READ_BYTES = 1024 * 1024 // BLOCK_BYTES * BLOCK_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The state of a file: its size, SHA-256 in hexadecimal digits, and digests of its blocks."""

    size: int
    digest: str
    blocks: bytes


def scan(stream: BinaryIO, size: int | None, name: str) -> Scan:
    """Read a file, or its first `size` bytes.

    Raises:
        StorageError: it is shorter than `size`; `name` names it.
    """
    whole, blocks, done = hashlib.sha256(), bytearray(), 0
    while size is None or done < size:
        piece = stream.read(_READ_BYTES if size is None else min(_READ_BYTES, size - done))
        if not piece:
            break
        whole.update(piece)
        for start in range(0, len(piece), BLOCK_BYTES):
            block = piece[start : start + BLOCK_BYTES]
            blocks += hashlib.blake2b(block, digest_size=_DIGEST_BYTES).digest()
        done += len(piece)
    if size is not None and done < size:
        raise StorageError(f"{name} became shorter while it was read", path=name)
    return Scan(size=done, digest=whole.hexdigest(), blocks=bytes(blocks))


def changed_blocks(before: Scan | None, now: Scan) -> Sequence[int]:
    """Numbers of the blocks of `now` that are not those of `before`; all if there is none."""
    known = b"" if before is None else before.blocks
    return [
        number
        for number in range(len(now.blocks) // _DIGEST_BYTES)
        if _digest(known, number) != _digest(now.blocks, number)
    ]


def _digest(blocks: bytes, number: int) -> bytes:
    return blocks[number * _DIGEST_BYTES : (number + 1) * _DIGEST_BYTES]


class ChangedBlocks:
    """The content of some blocks of a file, as a stream of records.

    Args:
        file: the file, which is closed with this.
        size: its bytes that count.
        numbers: of the blocks.
    """

    def __init__(self, file: BinaryIO, size: int, numbers: Sequence[int]) -> None:
        self._file = file
        self._size = size
        self._numbers = iter(numbers)
        self._rest = b""

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        if not self._rest:
            self._rest = self._next()
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _next(self) -> bytes:
        number = next(self._numbers, None)
        if number is None:
            return b""
        start = number * BLOCK_BYTES
        self._file.seek(start)
        return _NUMBER.pack(number) + self._file.read(min(BLOCK_BYTES, self._size - start))


def section_of(name: str, changes: ChangedBlocks) -> Section:
    """The section that holds the content of changed blocks, which is read to its end."""
    digest, length = hashlib.sha256(), 0
    with changes:
        while piece := changes.read(_READ_BYTES):
            digest.update(piece)
            length += len(piece)
    return Section(name=name, bytes=length, digest=digest.hexdigest())


def apply_blocks(changes: BinaryIO, target: BinaryIO, size: int) -> None:
    """Write the content of changed blocks into a file, which has `size` bytes afterwards.

    Raises:
        ContainerDamagedError: a block is not whole, or lies beyond `size`.
    """
    while head := changes.read(_NUMBER.size):
        if len(head) < _NUMBER.size:
            raise ContainerDamagedError("the changes of a file end within a block's number")
        start = _NUMBER.unpack(head)[0] * BLOCK_BYTES
        length = min(BLOCK_BYTES, size - start)
        block = changes.read(max(length, 0))
        if length <= 0 or len(block) != length:
            raise ContainerDamagedError(f"a changed block at {start} is not one of {size} bytes")
        target.seek(start)
        target.write(block)
    target.truncate(size)
