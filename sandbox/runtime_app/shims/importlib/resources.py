"""`importlib.resources` of a sandbox: data files of the packages in a bundle, read from memory."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from importlib import import_module
from io import BytesIO, StringIO
from types import ModuleType
from typing import Any, Never

__all__ = [
    "Anchor", "Package", "as_file", "contents", "files", "is_resource", "open_binary", "open_text",
    "path", "read_binary", "read_text",
]  # fmt: skip

Package = Anchor = str | ModuleType
_FILES = "a sandbox has no files: read the data by files(package).joinpath(name).read_bytes()"


class Data:
    """A place in a package: a data file, or a folder of them."""

    def __init__(self, loader: Any, path: str) -> None:
        self._loader, self._path = loader, path

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self._path.rpartition("/")[2]

    def joinpath(self, *names: str) -> "Data":
        """A place below this one."""
        return Data(self._loader, "/".join((self._path, *map(str, names))))

    __truediv__ = joinpath

    def is_file(self) -> bool:
        """Whether it is a data file."""
        return self._path in self._names()

    def is_dir(self) -> bool:
        """Whether data files are below it."""
        return any(name.startswith(f"{self._path}/") for name in self._names())

    def iterdir(self) -> Iterator["Data"]:
        """Files and folders directly below it, sorted."""
        start = f"{self._path}/"
        below = {
            n.removeprefix(start).partition("/")[0] for n in self._names() if n.startswith(start)
        }
        yield from (self.joinpath(name) for name in sorted(below))

    def read_bytes(self) -> bytes:
        """The file's content.

        Raises:
            FileNotFoundError: the bundle has no such data file.
        """
        content: bytes = self._loader.get_data(self._path)
        return content

    def read_text(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The file's text."""
        return self.read_bytes().decode(encoding, errors)

    def open(self, mode: str = "r", encoding: str = "utf-8", errors: str = "strict") -> Any:
        """The file's content as a stream.

        Raises:
            ValueError: a mode that writes.
        """
        if mode == "rb":
            return BytesIO(self.read_bytes())
        if mode in {"r", "rt"}:
            return StringIO(self.read_text(encoding, errors))
        raise ValueError(f"mode {mode!r}: expected r or rb")

    def __str__(self) -> str:
        return self._path

    def _names(self) -> frozenset[str]:
        return frozenset(self._loader.data_names())


def files(anchor: Package) -> Data:
    """The place of a package.

    Raises:
        TypeError: it is no package of the bundle.
    """
    module = import_module(anchor) if isinstance(anchor, str) else anchor
    loader = getattr(module.__spec__, "loader", None)
    if not hasattr(loader, "data_names"):
        raise TypeError(f"{module.__name__!r} is no package with data files")
    name = module.__name__
    if not hasattr(module, "__path__"):
        name = name.rpartition(".")[0]
    return Data(loader, name.replace(".", "/"))


def read_binary(package: Package, resource: str) -> bytes:
    """The content of a data file."""
    return files(package).joinpath(resource).read_bytes()


def read_text(
    package: Package, resource: str, encoding: str = "utf-8", errors: str = "strict"
) -> str:
    """The text of a data file."""
    return files(package).joinpath(resource).read_text(encoding, errors)


def open_binary(package: Package, resource: str) -> Any:
    """The content of a data file as a stream."""
    return files(package).joinpath(resource).open("rb")


def open_text(
    package: Package, resource: str, encoding: str = "utf-8", errors: str = "strict"
) -> Any:
    """The text of a data file as a stream."""
    return files(package).joinpath(resource).open("r", encoding, errors)


def is_resource(package: Package, name: str) -> bool:
    """Whether the package has a data file of this name."""
    return files(package).joinpath(name).is_file()


def contents(package: Package) -> Iterator[str]:
    """Names of files and folders directly in a package."""
    return (place.name for place in files(package).iterdir())


def as_file(_path: Any) -> AbstractContextManager[Never]:
    """Refused.

    Raises:
        OSError: always.
    """
    raise OSError(_FILES)


def path(_package: Package, _resource: str) -> AbstractContextManager[Never]:
    """Refused.

    Raises:
        OSError: always.
    """
    raise OSError(_FILES)
