"""Opens files that must be regular files: anything else in their place is refused at once.

Opening a pipe blocks until its other end is opened, a device may have side effects, and a link
leads to a file other than the intended one. So files are checked before and after opening, and
opening never blocks.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a symbolic link",
}


class IrregularFileError(OSError):
    """The path is not a regular file; `strerror` describes what it is."""

    def __init__(self, path: Path, kind: str) -> None:
        super().__init__(errno.EINVAL, f"expected a regular file, found {kind}", str(path))


def require_regular(path: Path, *, follow: bool = False) -> None:
    """Check that a file is a regular one, without opening it.

    Args:
        path: the file.
        follow: whether it may be a link to one, which is allowed for files named by an operator.

    Raises:
        IrregularFileError: it is something else.
        FileNotFoundError: there is none.
        OSError: it cannot be inspected.
    """
    _require(path, (path.stat() if follow else path.lstat()).st_mode)


def open_descriptor(path: Path, *, follow: bool = False, writable: bool = False) -> int:
    """Open an existing file for reading, or for reading and writing; the caller closes it.

    Args:
        path: the file.
        follow: whether it may be a link to a regular file.
        writable: whether it is to be written, too.

    Raises:
        IrregularFileError: it is something else.
        FileNotFoundError: there is none.
        OSError: it cannot be opened.
    """
    require_regular(path, follow=follow)
    flags = os.O_RDWR if writable else os.O_RDONLY
    flags |= os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    descriptor = os.open(path, flags)
    try:
        _require(path, os.fstat(descriptor).st_mode)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_regular(path: Path, *, follow: bool = False, writable: bool = False) -> BinaryIO:
    """Like `open_descriptor`, but returns a stream.

    Raises:
        IrregularFileError: it is something else.
        FileNotFoundError: there is none.
        OSError: it cannot be opened.
    """
    descriptor = open_descriptor(path, follow=follow, writable=writable)
    return os.fdopen(descriptor, "r+b" if writable else "rb")


def read_regular(path: Path, bytes_max: int, *, follow: bool = False) -> bytes:
    """The content of a file, at most `bytes_max + 1` bytes: the caller refuses the longer one.

    Raises:
        IrregularFileError: it is no regular file.
        FileNotFoundError: there is none.
        OSError: it cannot be read.
    """
    with open_regular(path, follow=follow) as stream:
        return stream.read(bytes_max + 1)


def new_file(path: Path) -> BinaryIO:
    """Create a file, readable by its owner only; an existing file of that name is removed first.

    Raises:
        OSError: it cannot be created, or a directory has its name.
    """
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "wb")


def _require(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise IrregularFileError(path, _KINDS.get(stat.S_IFMT(mode), "something else"))
