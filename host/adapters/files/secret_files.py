"""Secrets in files: those that people hand to the host, and those that it makes. Never logged."""

import os
import stat
from pathlib import Path

from host.adapters.files.regular_files import new_file, open_regular, read_regular
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
    lines = read_secret_text(file).splitlines()
    if not lines or not lines[0]:
        raise SecretFileInvalidError(f"{file}: the first line must hold a secret")
    return lines[0]


def read_secret_text(file: Path) -> str:
    """All of `file`, which may be a link to a regular file, as secrets that are mounted are.

    Raises:
        SecretFileInvalidError: unreadable, no regular file, too long, or not UTF-8.
    """
    try:
        data = read_regular(file, _BYTES_MAX, follow=True)
        text = data.decode()
    except OSError as error:
        raise SecretFileInvalidError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SecretFileInvalidError(f"{file}: not UTF-8 text") from error
    if len(data) > _BYTES_MAX:
        raise SecretFileInvalidError(f"{file}: expected at most {_BYTES_MAX} bytes")
    return text


def read_or_create(file: Path, fresh: bytes) -> bytes:
    """The content of a file that only its owner can read; `fresh` if this makes it.

    Raises:
        SecretFileInvalidError: others can read it.
        StorageError: it cannot be made or read.
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.path.lexists(file):
            _create(file, fresh)
        with open_regular(file) as stream:
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
        with open_regular(file, writable=True) as stream:
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
    with new_file(temporary) as stream:
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
