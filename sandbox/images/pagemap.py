"""Which pages of a private mapping of a file this process has written.

A page of such a mapping is the file's until it is first written; the kernel then gives the process
a copy. `/proc/self/pagemap` has 64 bits for each page, of which the highest byte tells copies from
the file's pages: present (bit 63) or swapped (62), and not of a file (61). No write is missed,
whoever makes it: the guest, or the host when it copies a text into the guest's memory.
Source: the kernel's `Documentation/admin-guide/mm/pagemap.rst`.
"""

import ctypes
import mmap
import os
import weakref

PAGE_BYTES = mmap.PAGESIZE
_ENTRY_BYTES = 8
_PRESENT_OR_SWAPPED, _OF_A_FILE = 0xC0, 0x20
_WRITTEN = bytes(bool(byte & _PRESENT_OR_SWAPPED) and not byte & _OF_A_FILE for byte in range(256))
"""An entry's highest byte -> 1 if the page is a copy."""


class PageMap:
    """The page map of this process. Thread-safe.

    It must be opened before a process is sealed, and not be used in a child process.

    Attributes:
        descriptor: of the page map.
        close: closes it.

    Raises:
        OSError: the system has none, or does not tell copies from the file's pages.
    """

    def __init__(self) -> None:
        self.descriptor = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
        self.close = weakref.finalize(self, os.close, self.descriptor)
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    def written(self, base: int, pages: int) -> bytes:
        """A byte for each page from address `base` on: 1 if the process has a copy of it, else 0.

        Args:
            base: a multiple of the page size.
            pages: how many.

        Raises:
            OSError: the system does not answer for all pages.
        """
        size = pages * _ENTRY_BYTES
        entries = os.pread(self.descriptor, size, base // PAGE_BYTES * _ENTRY_BYTES)
        if len(entries) != size:
            raise OSError("/proc/self/pagemap: cut short")
        return entries[_ENTRY_BYTES - 1 :: _ENTRY_BYTES].translate(_WRITTEN)

    def _check(self) -> None:
        """Compare the answer for pages untouched, read, and written with the expected one."""
        size = 3 * PAGE_BYTES
        descriptor = os.memfd_create("cordbox-page-map")
        try:
            os.truncate(descriptor, size)
            with mmap.mmap(descriptor, size, flags=mmap.MAP_PRIVATE) as pages:
                found = self._answer_for(pages)
        finally:
            os.close(descriptor)
        if found != b"\0\0\1":
            raise OSError("/proc/self/pagemap does not tell which pages were written")

    def _answer_for(self, pages: mmap.mmap) -> bytes:
        """The answer for three pages after the second is read and the third is written."""
        array = (ctypes.c_ubyte * len(pages)).from_buffer(pages)
        array[2 * PAGE_BYTES] = array[PAGE_BYTES] + 1
        return self.written(ctypes.addressof(array), 3)
