"""Seals of files that this host made and trusts: a MAC beside each, made with a secret of its own.

A sealed file is used without further checks of its content, so a file that was changed, renamed or
brought from elsewhere must not be opened.
"""

import hashlib
import hmac
import os
import secrets
from io import BufferedReader
from pathlib import Path

from sandbox.files import locked, private_directory, write_whole

_MAC_BYTES = 32


class Seals:
    """The seals of the files in `folder`.

    Args:
        folder: holds the files, their seals and the secret; accessible to this user only.
        context: what the files are good for, such as the fingerprint of an engine.
    """

    def __init__(self, folder: Path, context: str) -> None:
        self._secret = _secret(private_directory(folder))
        self._context = context

    def keep(self, fresh: Path, path: Path) -> None:
        """Seal the file `fresh`, and give it the name `path`."""
        with fresh.open("rb") as file:
            write_whole(_seal_of(path), self._mac(path.name, file))
        fresh.replace(path)

    def write(self, path: Path, data: bytes) -> None:
        """Write and seal a file."""
        fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
        try:
            write_whole(fresh, data)
            self.keep(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)

    def open(self, path: Path) -> BufferedReader | None:
        """The file `path`, if it is there and its seal is right; it stays the checked one."""
        try:
            seal = _seal_of(path).read_bytes()
            file = path.open("rb")
        except FileNotFoundError:
            return None
        if len(seal) == _MAC_BYTES and hmac.compare_digest(seal, self._mac(path.name, file)):
            file.seek(0)
            return file
        file.close()
        return None

    def _mac(self, name: str, file: BufferedReader) -> bytes:
        key = hmac.digest(self._secret, f"{name}\n{self._context}".encode(), "sha256")
        content = hashlib.file_digest(file, lambda: hashlib.blake2b(key=key[:32])).digest()
        return hmac.digest(key, content, "sha256")


def _seal_of(path: Path) -> Path:
    return path.with_suffix(".mac")


def _secret(folder: Path) -> bytes:
    path = folder / "secret"
    with locked(folder / "secret.lock"):
        if not path.exists():
            write_whole(path, secrets.token_bytes(32))
        return path.read_bytes()
