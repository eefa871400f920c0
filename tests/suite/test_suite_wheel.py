"""The wheel of `make wheel` works in a fresh virtual environment, outside of the repository."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Sequence
from email.parser import Parser
from pathlib import Path

import pytest

from host.tools.cache import default_cache_dir

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    programs = f"BIN={Path(sys.executable).parent}"
    # -o: what `setup` installs is here already.
    words = ["make", "--no-print-directory", "-o", "setup", "wheel", f"DIST={folder}", programs]
    made = subprocess.run(words, cwd=_ROOT, capture_output=True, text=True, check=True)
    (found,) = folder.glob("*.whl")
    assert made.stdout.splitlines()[-1] == str(found)
    return found


class Installed:
    """A virtual environment that has the wheel, and nothing of this repository."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder / "env"
        venv.create(self.folder, with_pip=True)
        self.run("-m", "pip", "install", "--quiet", "--no-index", "--no-deps", str(wheel))
        # What it depends on is lent by this environment: its folder alone, not its .pth files, which
        # would lead to the repository.
        (site,) = self.folder.glob("lib/python*/site-packages")
        (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def run(self, *words: str, cwd: Path | None = None) -> str:
        """Run Python there, and give what it prints."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("CORDBOX_", "PY"))}
        environment["CORDBOX_CACHE_DIR"] = str(default_cache_dir())
        done = subprocess.run(
            [str(self.folder / "bin" / "python"), *words],
            cwd=cwd or self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def cordbox(self, *words: str, cwd: Path) -> str:
        return self.run(str(self.folder / "bin" / "cordbox"), *words, cwd=cwd)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Installed:
    return Installed(tmp_path_factory.mktemp("installed"), wheel)


def _names(wheel: Path) -> Sequence[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_holds_the_product_and_no_tests(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in _names(wheel)}
    assert {top for top in tops if ".dist-info" not in top} == {
        "cpi",
        "host",
        "plugins",
        "sandbox",
        "sample_cordapps",
        "cordapp_sdk.pth",
    }
    assert [name for name in _names(wheel) if "/test_" in name or "__pycache__" in name] == []


def test_the_extras_are_those_of_the_installation_page(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith("/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
    page = (_ROOT / "docs/how-to/install.md").read_text(encoding="utf-8")
    extras = set(metadata.get_all("Provides-Extra", []))
    assert extras == {"hsm", "fuzz", "kafka", "oidc", "otel", "postgres", "test", "runtime-build"}
    assert {extra for extra in extras if f"\n| `{extra}` |" in page} == extras


def test_a_project_is_made_tested_and_built_with_it(installed: Installed, tmp_path: Path) -> None:
    place = installed.run(
        "-c", "import host, cordapp; print(host.__file__); print(cordapp.__file__)"
    )
    assert all(line.startswith(str(installed.folder)) for line in place.splitlines()), place
    assert installed.cordbox("--version", cwd=tmp_path).startswith("cordbox, version ")
    installed.cordbox("cordapp", "new", "hello", cwd=tmp_path)
    told = installed.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "hello", cwd=tmp_path)
    assert "2 passed" in told
    key = ("--file", "key.p12", "--storepass", "password", "--dname", "CN=A, O=A, L=London, C=GB")
    installed.cordbox("keystore", "create", *key, cwd=tmp_path)
    signed = ("--keystore", "key.p12", "--storepass", "password", "--output-dir", "out")
    installed.cordbox("cordapp", "build", "hello", *signed, cwd=tmp_path)
    assert [file.suffix for file in sorted((tmp_path / "out").iterdir())] == [".cpb", ".jar"]
