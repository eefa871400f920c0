"""An uploaded file as a source that outlives the request: on disk, without a name."""

import contextlib
import os
from typing import BinaryIO

from cpi.package.files import FileSource


class UploadedFile(FileSource):
    """Reads a file through a descriptor of its own until it is closed."""

    def __init__(self, file: BinaryIO, label: str) -> None:
        """Take over the content of `file`, which may be closed afterwards.

        Raises:
            OSError: it cannot be written to disk.
        """
        self._held = contextlib.ExitStack()
        file.flush()
        descriptor = os.dup(file.fileno())  # moves a spooled file to disk
        self._held.callback(os.close, descriptor)
        super().__init__(descriptor, label, self._held)

    def close(self) -> None:
        """Free the disk space; may be called twice."""
        self._held.close()
