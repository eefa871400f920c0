"""A file that arrives in parts, each of which may be sent again."""

import fcntl
import os
from pathlib import Path

from host.domain.errors import ConflictError, InvalidInputError

PART_BYTES_MAX = 8 * 1024 * 1024


class PartMisplacedError(ConflictError):
    """A part does not begin where the file ends; `details` has the file's size."""

    code = "transfer-part-misplaced"


class PartTooLargeError(InvalidInputError):
    """A part of a file is larger than a request may carry."""

    code = "transfer-part-too-large"


class PartialFile:
    """A file of which some bytes are there."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, offset: int, data: bytes) -> int:
        """Append a part; one that is there already changes nothing. Returns the file's size.

        Raises:
            PartTooLargeError: it has more than `PART_BYTES_MAX` bytes.
            PartMisplacedError: it begins after the end, or overlaps it.
            OSError: the file cannot be written.
        """
        if len(data) > PART_BYTES_MAX:
            raise PartTooLargeError(f"a part has {len(data)} bytes, at most {PART_BYTES_MAX}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # a part that is repeated meanwhile waits
            size = os.fstat(descriptor).st_size
            if offset + len(data) <= size:
                return size
            if offset != size:
                raise PartMisplacedError(
                    f"the part begins at {offset}, the file has {size} bytes", size=str(size)
                )
            try:
                _write(descriptor, data)
            except OSError:
                os.ftruncate(descriptor, size)  # so that the part can be sent again
                raise
            return size + len(data)
        finally:
            os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
