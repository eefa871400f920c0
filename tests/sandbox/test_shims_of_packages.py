"""`importlib.metadata` and `importlib.resources` of a sandbox read the data files of a bundle."""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from sandbox.runtime_sources import LOADER_DIRECTORY

DATA = {
    "acme/words.txt": "é\n".encode(),
    "acme/more/a.bin": b"\0",
    "acme_lib-1.2.dist-info/METADATA": b"Metadata-Version: 2.4\r\nName: Acme.Lib\r\nVersion: 1.2\r\n\r\nVersion: 9\r\n",
}


class Finder:
    """What a guest's own finder offers for data files."""

    def find_spec(self, *_names: object) -> None:
        return None

    def get_data(self, path: str) -> bytes:
        if path not in DATA:
            raise FileNotFoundError(path)
        return DATA[path]

    def data_names(self) -> list[str]:
        return list(DATA)


def shim(name: str) -> ModuleType:
    module = ModuleType(name)
    path = LOADER_DIRECTORY / "shims" / f"{name.replace('.', '/')}.py"
    exec(compile(path.read_text(), str(path), "exec"), vars(module))
    return module


def test_versions_are_those_of_the_metadata_in_the_bundle(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    metadata = shim("importlib.metadata")
    assert metadata.version("acme-lib") == metadata.version("ACME_lib") == "1.2"
    assert metadata.metadata("acme.lib")["Name"] == "Acme.Lib"
    assert [found.name for found in metadata.distributions()] == ["Acme.Lib"]
    assert metadata.entry_points(group="x") == ()
    with pytest.raises(metadata.PackageNotFoundError, match="brings no wheel of this name"):
        metadata.version("other")
    assert issubclass(metadata.PackageNotFoundError, ModuleNotFoundError)


def test_data_files_are_read_from_the_bundle():
    resources = shim("importlib.resources")
    package = ModuleType("acme")
    package.__spec__ = ModuleSpec("acme", Finder(), is_package=True)
    package.__path__ = []
    words = resources.files(package) / "words.txt"
    assert (words.read_text(), words.is_file(), words.is_dir()) == ("é\n", True, False)
    assert words.open("rb").read() == DATA["acme/words.txt"]
    assert resources.read_binary(package, "words.txt") == DATA["acme/words.txt"]
    assert list(resources.contents(package)) == ["more", "words.txt"]
    assert resources.files(package).joinpath("more").is_dir()
    with pytest.raises(FileNotFoundError):
        resources.files(package).joinpath("absent").read_bytes()
    with pytest.raises(ValueError, match="mode 'w'"):
        words.open("w")
    with pytest.raises(OSError, match="no files"):
        resources.path(package, "words.txt")
    with pytest.raises(TypeError, match="no package with data files"):
        resources.files(sys)
