"""Compiled code of components as open files, checked once and kept open."""

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedReader

from sandbox.guest import Component
from sandbox.images.image import ImageFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledFile:
    """The code of a component, checked and open for reading. The receiver must close it.

    Attributes:
        component: what it is the code of.
        file: its compiled code; of an image, that of the image's runtime.
        image: the image's files; None if the component is self-contained.
    """

    component: Component
    file: BufferedReader
    image: ImageFiles | None = None

    def copy(self) -> "CompiledFile":
        """The same files once more."""
        file = os.fdopen(os.dup(self.file.fileno()), "rb")
        image = None if self.image is None else self.image.copy()
        return CompiledFile(component=self.component, file=file, image=image)

    def close(self) -> None:
        """Close all of them."""
        self.file.close()
        if self.image is not None:
            self.image.close()

    def descriptors(self) -> tuple[int, ...]:
        """Those of its files."""
        image = self.image
        more = () if image is None else (image.initial.fileno(), image.changes.fileno())
        return (self.file.fileno(), *more)


class CompiledFiles:
    """At most `size` files by digest, the most recently used ones. Thread-safe.

    Checking a file reads all of it, which takes longer than starting a process that maps it.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._files: OrderedDict[str, CompiledFile] = OrderedDict()
        weakref.finalize(self, _close, self._files)

    def get(self, digest: str, open_checked: Callable[[], CompiledFile]) -> CompiledFile:
        """A copy of the file of `digest`, opened and checked if it is not kept."""
        with self._lock:
            kept = self._files.get(digest)
            if kept is not None:
                self._files.move_to_end(digest)
                return kept.copy()
        fresh = open_checked()
        with self._lock:
            before = self._files.pop(digest, None)
            if before is not None:
                before.close()
            self._files[digest] = fresh
            while len(self._files) > self._size:
                self._files.popitem(last=False)[1].close()
            return fresh.copy()


def _close(files: OrderedDict[str, CompiledFile]) -> None:
    for compiled in files.values():
        compiled.close()
