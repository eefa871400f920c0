"""Keys of the parts of a continuous backup, whose passphrase opens one private key for many."""

from pathlib import Path

from host.adapters.files.container import Opener, read_header
from host.domain.errors import StorageError
from host.tools.backup.layout import MAGIC


class PartKeys:
    """Opens parts by what opens one; a passphrase, slow on purpose, is used once a writer."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._known: tuple[str, Opener] | None = None

    def opener(self, file: Path) -> Opener:
        """What opens a part.

        Raises:
            ContainerInvalidError, ContainerDamagedError: it is no backup.
            ContainerKeyError: the passphrase or key does not open it.
            StorageError: it cannot be read.
        """
        try:
            with file.open("rb") as stream:
                header = read_header(stream, MAGIC)
        except OSError as exc:
            raise StorageError(f"{file}: {exc.strerror}", path=str(file)) from exc
        if header.identity is None:
            return self._opener
        if self._known is None or self._known[0] != header.identity:
            found = "\n".join(str(each) for each in self._opener.identities(header))
            self._known = header.identity, Opener(identities=found)
        return self._known[1]
