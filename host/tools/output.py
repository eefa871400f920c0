"""Writing files whole: a build's, all of them or none, and reports."""

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from host.domain.errors import DiskFullError, StorageError


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltFile:
    """A written file. `digest` is `SHA-256:HEX`, `size` in bytes."""

    path: Path
    size: int
    digest: str


def write_files(folder: Path, contents: Mapping[str, bytes]) -> tuple[BuiltFile, ...]:
    """Write files by name into `folder`, in the order given; existing ones are replaced.

    Raises:
        StorageError: the folder or a file cannot be written; nothing new is left there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            temporary = [
                (_write_temporary(stack, folder, data), folder / name)
                for name, data in contents.items()
            ]
            for written, path in temporary:
                written.replace(path)
    except OSError as refused:
        raise StorageError(f"{folder} cannot be written: {refused.strerror}") from refused
    return tuple(
        BuiltFile(
            path=folder / name,
            size=len(data),
            digest="SHA-256:" + hashlib.sha256(data).hexdigest().upper(),
        )
        for name, data in contents.items()
    )


@contextmanager
def whole_file(path: Path) -> Iterator[IO[str]]:
    """A text file that appears under its name only if the block ends without an error.

    It replaces an existing file; where a link leads, if it is one. What is no regular file, such as
    a pipe, a terminal or `/dev/null`, is written into and stays.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        target = Path(os.path.realpath(path, strict=True)) if path.exists() else path
        if target.exists() and not target.is_file():
            with target.open("w", encoding="utf-8", newline="\n") as stream:
                yield stream
            return
        with ExitStack() as stack:
            temporary = _write_temporary(stack, target.parent, b"")
            with temporary.open("w", encoding="utf-8", newline="\n") as stream:
                yield stream
            temporary.replace(target)
    except OSError as refused:
        if refused.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"{path} cannot be written: {refused.strerror}") from refused
        raise StorageError(f"{path} cannot be written: {refused.strerror}") from refused


def _write_temporary(stack: ExitStack, folder: Path, data: bytes) -> Path:
    """A file of the folder that is removed with `stack` unless it is renamed before."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".cordapp-", delete=False) as stream:
        path = Path(stream.name)
        stack.callback(path.unlink, missing_ok=True)
        stream.write(data)
    path.chmod(0o644)
    return path
