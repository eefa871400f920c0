"""Secrets that people hand to the host in files: the first line, never logged."""

from pathlib import Path

from host.domain.errors import InvalidInputError

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
