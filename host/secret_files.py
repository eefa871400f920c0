"""Secrets in files: those that people hand to the host, and those that it makes. Never logged."""

import os
import stat
from pathlib import Path

from host.domain.errors import InvalidInputError, StorageError

_BYTES_MAX = 4096


class SecretFileInvalidError(InvalidInputError):
    """A file that should hold a secret cannot be read, or holds none."""

    code = "secret-file-invalid"


def read_secret(file: Path) -> str:
    """The first line of `file` without its line end.

    Raises:
        SecretFileInvalidError: unreadable, too long, empty or not UTF-8.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(_BYTES_MAX + 1)
        text = data.decode()
    except OSError as error:
        raise SecretFileInvalidError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SecretFileInvalidError(f"{file}: not UTF-8 text") from error
    lines = text.splitlines()
    if len(data) > _BYTES_MAX or not lines or not lines[0]:
        raise SecretFileInvalidError(
            f"{file}: the first line must hold a secret, the file at most {_BYTES_MAX} bytes"
        )
    return lines[0]


def read_or_create(file: Path, fresh: bytes) -> bytes:
    """The content of a file that only its owner can read; `fresh` if this makes it.

    Raises:
        SecretFileInvalidError: others can read it.
        StorageError: it cannot be made or read.
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():
            _create(file, fresh)
        with file.open("rb") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            if mode & 0o077:
                raise SecretFileInvalidError(f"{file} must have mode 0600, it has {mode:04o}")
            return stream.read(_BYTES_MAX)
    except OSError as exc:
        raise StorageError(f"{file} cannot be used: {exc.strerror}") from exc


def destroy(file: Path) -> None:
    """Overwrite and remove a secret; one that is not there is destroyed already.

    Raises:
        StorageError: it cannot be removed.
    """
    try:
        with file.open("r+b") as stream:
            stream.write(bytes(os.fstat(stream.fileno()).st_size))
            stream.flush()
            os.fsync(stream.fileno())
        file.unlink(missing_ok=True)
        _sync_folder(file.parent)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise StorageError(f"{file} cannot be destroyed: {exc.strerror}") from exc


def _create(file: Path, content: bytes) -> None:
    temporary = file.with_suffix(f".{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    try:
        # A link, unlike a rename, never replaces a key that another process has just made.
        os.link(temporary, file)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
    _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
