"""The data set of time zones is the installed package's, and its form is read back whole."""

from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

from sandbox import zones
from sandbox.runtime_sources import ZONES_FILE, write_zones, zones_version


@pytest.fixture(autouse=True)
def _installed_set():
    yield
    zones.keep(ZONES_FILE.read_bytes())


def test_what_is_packed_is_read_back():
    files = {"B/Two": b"TZif\n2", "A": b"TZif1", "C": b"TZif\n2"}
    zones.keep(zones.packed("2026.6", "2026f", files))
    assert zones.version() == "2026.6"
    assert {name: zones.read(name) for name in zones.names()} == files
    with pytest.raises(KeyError):
        zones.read("D")


def test_the_packaged_set_is_that_of_the_package_of_its_version(tmp_path):
    if version("tzdata") != zones_version():
        pytest.skip(f"tzdata {version('tzdata')} is installed, the runtimes have another")
    write_zones(tmp_path / "zones.bin")
    root = Path(str(import_module("tzdata").__file__)).parent / "zoneinfo"
    zones.keep((tmp_path / "zones.bin").read_bytes())
    made = {name: zones.read(name) for name in zones.names()}
    zones.keep(ZONES_FILE.read_bytes())
    assert {name: zones.read(name) for name in zones.names()} == made
    assert made["Europe/London"] == (root / "Europe" / "London").read_bytes()
