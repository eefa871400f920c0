"""Where the bytes of stored CPIs are, by checksum; what is known of them is in the registers."""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Protocol

from host.domain.ids import Checksum


class CpiFiles(Protocol):
    """Files of CPIs. Each is complete or absent. Thread-safe."""

    def has(self, checksum: Checksum) -> bool:
        """Whether the file is there and has content; its checksum is not computed."""
        ...

    def read(self, checksum: Checksum) -> bytes:
        """All bytes of a file, checked against its checksum.

        Raises:
            StorageError: the file is missing, unreadable or damaged.
        """
        ...

    def chunks(self, checksum: Checksum) -> Iterator[bytes]:
        """The bytes of a file in pieces; the first comes once all have been checked.

        Raises:
            StorageError: as of `read`.
        """
        ...

    def write(self, checksum: Checksum, chunks: Iterable[bytes]) -> bool:
        """Keep a file for good, in place of one that is there; True if none was.

        Raises:
            StorageError: disk full or unwritable; no part of it stays.
        """
        ...

    def discard(self, checksum: Checksum) -> None:
        """Remove a file that no row names; what cannot be removed now is swept later."""
        ...

    def sweep(self, known: AbstractSet[Checksum]) -> None:
        """Remove what interrupted uploads left: all but `known`. Only while no upload runs.

        Raises:
            StorageError: the files cannot be listed or removed.
        """
        ...
