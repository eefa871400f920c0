"""Storage of CPI files, by checksum; their metadata is in the registers."""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Protocol

from host.domain.ids import Checksum


class CpiFiles(Protocol):
    """Files of CPIs. Each is complete or absent. Thread-safe."""

    def has(self, checksum: Checksum) -> bool:
        """Whether the file exists and is not empty; its checksum is not verified."""
        ...

    def read(self, checksum: Checksum) -> bytes:
        """All bytes of a file, checked against its checksum.

        Raises:
            StorageError: the file is missing, unreadable or damaged.
        """
        ...

    def chunks(self, checksum: Checksum) -> Iterator[bytes]:
        """The bytes of a file in pieces; the whole file is verified before the first is returned.

        Raises:
            StorageError: as of `read`.
        """
        ...

    def write(self, checksum: Checksum, chunks: Iterable[bytes]) -> bool:
        """Store a file durably, replacing an existing one; True if there was none.

        Raises:
            StorageError: disk full or unwritable; no part of it stays.
        """
        ...

    def discard(self, checksum: Checksum) -> None:
        """Remove a file that no row names; if that fails, `sweep` removes it later."""
        ...

    def sweep(self, known: AbstractSet[Checksum]) -> None:
        """Remove files of interrupted uploads: all but `known`. Only while no upload runs.

        Raises:
            StorageError: the files cannot be listed or removed.
        """
        ...
