"""Sources of a package's bytes: memory, a file, or a range of another source.

An archive is read from places, not from start to end: its directory is at its end, and a stored
nested archive is a window of the same bytes. A source therefore supports random access, and keeps
no more in memory than its kind needs.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from cpi.digests import hash_text
from cpi.errors import ArchiveError, Code

CHUNK_BYTES = 256 * 1024
"""Bytes that are read at a time, which is also about the most that is kept in memory."""


class Source(Protocol):
    """Bytes at rest, of known size."""

    @property
    def size(self) -> int:
        """How many bytes there are."""
        ...

    def read_at(self, offset: int, size: int) -> bytes:
        """The bytes from `offset`: `size` of them, fewer only at the end of the source.

        Raises:
            CpiError: the source has become shorter than its size.
            OSError: it cannot be read.
        """
        ...

    def keep(self, chunks: Iterable[bytes]) -> "Source":
        """Store unpacked bytes as a source that lives as long as this one."""
        ...

    def check_unchanged(self) -> None:
        """Check that the bytes are still those that were read first.

        Raises:
            CpiError: they changed.
        """
        ...


@dataclass(frozen=True, slots=True)
class BytesSource:
    """Bytes in memory."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def read_at(self, offset: int, size: int) -> bytes:
        return self.data[offset : offset + size]

    def keep(self, chunks: Iterable[bytes]) -> Source:
        return BytesSource(b"".join(chunks))

    def check_unchanged(self) -> None:
        """Nothing to check: bytes in memory never change."""


@dataclass(frozen=True, slots=True)
class Window:
    """A range of another source, which must lie within it."""

    base: Source
    offset: int
    size: int

    def read_at(self, offset: int, size: int) -> bytes:
        return self.base.read_at(self.offset + offset, max(0, min(size, self.size - offset)))

    def keep(self, chunks: Iterable[bytes]) -> Source:
        return self.base.keep(chunks)

    def check_unchanged(self) -> None:
        self.base.check_unchanged()


def source_of(data: bytes | Source) -> Source:
    """The source itself, or one over bytes."""
    return BytesSource(data) if isinstance(data, bytes) else data


def chunks_of(source: Source, offset: int, size: int) -> Iterator[bytes]:
    """A range, in pieces of at most `CHUNK_BYTES`.

    Raises:
        ArchiveError: the source ends before the range does.
    """
    end = offset + size
    while offset < end:
        chunk = source.read_at(offset, min(CHUNK_BYTES, end - offset))
        if not chunk:
            raise ArchiveError(Code.ARCHIVE_INVALID, f"the bytes end at {offset}, expected {end}")
        offset += len(chunk)
        yield chunk


def sha256_of(source: Source) -> str:
    """The SHA-256 over a whole source, in Corda's text form."""
    digest = hashlib.sha256()
    for chunk in chunks_of(source, 0, source.size):
        digest.update(chunk)
    return hash_text(digest.digest())
