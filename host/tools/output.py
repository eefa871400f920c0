"""Writing a build's files: all of them, or none."""

import hashlib
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from host.domain.errors import StorageError


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


def _write_temporary(stack: ExitStack, folder: Path, data: bytes) -> Path:
    """A file of the folder that is removed with `stack` unless it is renamed before."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".cordapp-", delete=False) as stream:
        path = Path(stream.name)
        stack.callback(path.unlink, missing_ok=True)
        stream.write(data)
    path.chmod(0o644)
    return path
