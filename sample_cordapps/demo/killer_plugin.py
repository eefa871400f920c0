"""A plugin that kills its process where a notary has decided, and has not signed yet."""

import os
import signal
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from host.adapters.files.data_directory import DataDirectory
from host.ports.keys import KeyCategory, KeyStore
from host.runtime.hookspecs import hookimpl

MARK = "kill-the-notary"
"""A file of the data directory; each one kills once."""


class Killing:
    """A key store that kills its process at a notary's next signature."""

    def __init__(self, keys: KeyStore, mark: Path) -> None:
        self._keys = keys
        self._mark = mark

    def __getattr__(self, name: str) -> Any:
        return getattr(self._keys, name)

    def sign(
        self,
        tenant: str,
        public_key: str,
        data: bytes,
        spec: str,
        categories: Sequence[KeyCategory] | None = None,
    ) -> bytes:
        if categories is not None and tuple(categories) == (KeyCategory.NOTARY,):
            with suppress(FileNotFoundError):
                self._mark.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        return self._keys.sign(tenant, public_key, data, spec, categories)  # type: ignore[arg-type]  # as given


@hookimpl(wrapper=True)
def register_key_store(directory: DataDirectory) -> Generator[None, KeyStore, object]:
    keys = yield
    return Killing(keys, directory.path / MARK)
