"""An image that instances of its runtime can be given: its memory as files to be mapped.

The blocks in which the memory differs from the runtime's initial memory, about two thirds of it,
are in a file of their own that has no name and cannot change any more; the others are mapped from
the file of the initial memory, which all images of the runtime share.
"""

import fcntl
import os
import tempfile
import weakref
from dataclasses import dataclass, replace
from typing import BinaryIO

from sandbox.images.format import changed_blocks
from sandbox.images.memories import LinearMemory


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """The files of an image. Whoever receives them must close them.

    Attributes:
        size: bytes of the memory.
        initial: the runtime's initial memory.
        initial_size: bytes of it; behind them the memory is zero where it is not changed.
        changes: the changed blocks, each at its place in the memory.
        runs: start and end of each run of changed blocks, in bytes.
    """

    size: int
    initial: BinaryIO
    initial_size: int
    changes: BinaryIO
    runs: tuple[tuple[int, int], ...]

    def copy(self) -> "ImageFiles":
        """The same files once more."""
        return replace(self, initial=_again(self.initial), changes=_again(self.changes))

    def close(self) -> None:
        """Close both."""
        self.initial.close()
        self.changes.close()


class Image:
    """The memory of one image, open for mapping. Thread-safe; it never changes.

    Attributes:
        digest: of the image.
        size: bytes of the memory.
        files: its files, which are closed with it.
    """

    def __init__(self, digest: str, files: ImageFiles) -> None:
        self.digest = digest
        self.size = files.size
        self.files = files
        weakref.finalize(self, files.close)

    def map_over(self, memory: LinearMemory) -> None:
        """Make the image the content of a memory that was created for it and never written.

        The memory's pages are the image's until the guest writes them, and private from then on.

        Raises:
            OSError: the system refuses.
        """
        files = self.files
        memory.map_file(files.initial.fileno(), 0, files.initial_size)
        for start, end in files.runs:
            memory.map_file(files.changes.fileno(), start, end)


def image_of(digest: str, memory: bytes, initial: BinaryIO, base: bytes) -> Image:
    """The image of a memory.

    Args:
        digest: of the image.
        memory: all of it, at least as large as the initial one.
        initial: the file of the runtime's initial memory; it stays the caller's.
        base: the content of that file.

    Raises:
        OSError: the system has no room for it.
    """
    runs = tuple(changed_blocks(memory, base.ljust(len(memory), b"\0")))
    changes = unnamed_file("cordbox-image")
    try:
        changes.truncate(len(memory))
        for start, end in runs:
            changes.seek(start)
            changes.write(memory[start:end])
        changes.flush()
        _seal(changes)
        return Image(digest, ImageFiles(len(memory), _again(initial), len(base), changes, runs))
    except BaseException:
        changes.close()
        raise


def unnamed_file(name: str) -> BinaryIO:
    """A file without a name in any folder: in memory where the system has such files."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "w+b")
    return tempfile.TemporaryFile()


def _seal(file: BinaryIO) -> None:
    """Let nobody change a file of `unnamed_file` any more, where the system can."""
    if hasattr(fcntl, "F_ADD_SEALS"):
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        fcntl.fcntl(file.fileno(), fcntl.F_ADD_SEALS, seals)


def _again(file: BinaryIO) -> BinaryIO:
    return os.fdopen(os.dup(file.fileno()), "rb")
