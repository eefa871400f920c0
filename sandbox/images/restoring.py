"""Puts an instance's memory back to its image after a run.

Pages that runs usually write are copied from the image and stay the process's own, so that the next
run writes them without a page fault. Other pages that the run wrote are given back to the system,
and read as the image again. Which pages a run has written, the kernel says (`pagemap`).
"""

import re
import threading
from collections.abc import Iterator

from sandbox.images.memories import LinearMemory
from sandbox.images.pagemap import PAGE_BYTES, PageMap
from sandbox.limits import MIB
from sandbox.own_memory import thread_faults

USUAL_BYTES_MAX = 4 * MIB
"""Bytes that are copied after a run at most; pages beyond are given back after each run."""
_GAP_PAGES_MAX = 1
"""Pages between two usual ones that are copied with them: one long copy is cheaper than two."""
_RUNS = re.compile(rb"\x01+")
_GAPS = re.compile(rb"(?<=\x01)\x00{1,%d}(?=\x01)" % _GAP_PAGES_MAX)


class UsualPages:
    """The pages of an image that its runs usually write: those that two runs have. Thread-safe.

    Attributes:
        pages: a byte for each page, 1 if it is usual, or in a gap that is copied with such pages.
        runs: start and end, in bytes, of each run of usual pages, without gaps.
    """

    def __init__(self, size: int) -> None:
        self.pages = bytes(size // PAGE_BYTES)
        self.runs: tuple[tuple[int, int], ...] = ()
        self._twice = self.pages
        self._once = self.pages
        self._lock = threading.Lock()

    def learn(self, written: bytes) -> bytes:
        """Note what a run has written; answers the usual pages."""
        with self._lock:
            new = _without(written, self.pages)
            twice = _joined(_both(new, self._once), self._twice)
            usual = _GAPS.sub(lambda gap: b"\x01" * len(gap[0]), twice)
            self._once = _joined(self._once, new)
            if usual != self.pages and usual.count(1) * PAGE_BYTES <= USUAL_BYTES_MAX:
                self.pages, self.runs = usual, tuple(_runs(twice))
                self._twice = twice
            return self.pages


class Restorer:
    """Restores the memory of one instance; used by one thread at a time.

    Attributes:
        own_bytes: bytes that the instance has for itself after it was restored.
    """

    def __init__(
        self, memory: LinearMemory, image: memoryview, usual: UsualPages, page_map: PageMap
    ) -> None:
        """Of a memory over which the image is mapped.

        Args:
            memory: the instance's.
            image: the image's bytes, in whole pages.
            usual: what runs with this image usually write.
            page_map: of this process.
        """
        self._memory = memory
        self._image = image
        self._usual = usual
        self._page_map = page_map
        self._own = bytes(len(image) // PAGE_BYTES)
        self._faults: tuple[int, int, int] | None = None
        self._copies: list[tuple[memoryview, memoryview]] = []
        self.own_bytes = 0

    def begin(self) -> None:
        """A run of the instance begins, on this thread."""
        self._faults = thread_faults()

    def restore(self) -> bool:
        """Put the memory back to the image; False if it cannot be, since it has grown.

        If the thread had no page fault since `begin`, no page was written but those that are
        copied anyway, and the page map need not be read.

        Raises:
            OSError: the system refuses; what the memory contains is then undefined.
        """
        if self._memory.size != len(self._image):
            return False
        if self._faults is None or self._faults != thread_faults():
            self._find_written()
        self._faults = None
        for ours, theirs in self._copies:
            ours[:] = theirs
        return True

    def _find_written(self) -> None:
        """Give back the pages that were written and are not copied after each run."""
        written = self._page_map.written(self._memory.base, len(self._own))
        if written != self._own:
            usual = self._usual.learn(written)
            for start, end in _runs(_without(written, usual)):
                self._memory.forget(start, end)
            self._keep(usual)

    def written_pages(self) -> int:
        """How many pages the process has of its own now, those of earlier runs included."""
        return self._page_map.written(self._memory.base, len(self._own)).count(1)

    def release(self) -> None:
        """Let go of the memory, which may be unmapped afterwards."""
        self._copies = []

    def _keep(self, usual: bytes) -> None:
        """Copy the usual pages from now on. They are the process's own once they are copied."""
        if usual != self._own:
            view = self._memory.view()
            self._own, self.own_bytes = usual, usual.count(1) * PAGE_BYTES
            self._copies = [
                (view[start:end], self._image[start:end]) for start, end in _runs(usual)
            ]


def _runs(pages: bytes) -> Iterator[tuple[int, int]]:
    """Offsets in bytes of the first page and behind the last one of each run of ones."""
    for found in _RUNS.finditer(pages):
        yield found.start() * PAGE_BYTES, found.end() * PAGE_BYTES


def _without(pages: bytes, others: bytes) -> bytes:
    ours, theirs = int.from_bytes(pages, "little"), int.from_bytes(others, "little")
    return (ours & ~theirs).to_bytes(len(pages), "little")


def _both(pages: bytes, others: bytes) -> bytes:
    ours, theirs = int.from_bytes(pages, "little"), int.from_bytes(others, "little")
    return (ours & theirs).to_bytes(len(pages), "little")


def _joined(pages: bytes, others: bytes) -> bytes:
    ours, theirs = int.from_bytes(pages, "little"), int.from_bytes(others, "little")
    return (ours | theirs).to_bytes(len(pages), "little")
