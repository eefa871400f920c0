"""What type checkers see of the SDK: the wheel as an author installs it, and mypy's strict rules."""

import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from host.tools.cordapps.scaffold import new_project

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "sample_cordapps"
USES = """
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, assert_type

from cordapp.flows import ClientStartableFlow, FlowSession, SubFlow

T = TypeVar("T")


@dataclass(frozen=True)
class Offer:
    amount: int


@dataclass(frozen=True)
class Refusal:
    reason: str


@dataclass(frozen=True)
class Page(Generic[T]):
    items: list[T]


class Ask(SubFlow[Offer | Refusal]):
    def __init__(self, peer: str) -> None:
        self.peer = peer

    def call(self) -> Offer | Refusal:
        session = self.flow_messaging.initiate_flow(self.peer)
        assert_type(session, FlowSession)
        session.send(Offer(1))
        answer = session.receive(Offer | Refusal)
        assert_type(answer, Offer | Refusal)
        assert_type(session.receive(Offer), Offer)
        assert_type(session.receive(list[Offer]), list[Offer])
        assert_type(session.receive(list[Offer | Refusal]), list[Offer | Refusal])
        assert_type(session.receive(dict[str, tuple[int, ...]]), dict[str, tuple[int, ...]])
        assert_type(session.receive(Page[Offer]), Page[Offer])
        assert_type(session.receive(Literal["yes", "no"]), Literal["yes", "no"])
        assert_type(session.send_and_receive(Offer | Refusal, [answer]), Offer | Refusal)
        assert_type(self.flow_messaging.receive_all(Page[Offer], []), list[Page[Offer]])
        assert_type(session.send_and_receive(Offer | None, answer), Offer | None)
        assert_type(self.flow_messaging.receive_all(int | str, [session]), list[int | str])
        return answer


class Trade(ClientStartableFlow[str, Offer]):
    def call(self, request_body: str) -> Offer:
        answer = self.flow_engine.sub_flow(Ask(request_body))
        assert_type(answer, Offer | Refusal)
        if isinstance(answer, Refusal):
            raise ValueError(answer.reason)
        return answer
"""
MISUSES = """
from cordapp.flows import ClientStartableFlow


class Trade(ClientStartableFlow[str, int]):
    def call(self, request_body: str) -> int:
        session = self.flow_messaging.initiate_flow(request_body)
        return session.receive(int | None)  # line 8
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with nothing but the wheel of this project: its files, without its dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    venv.create(folder / "venv")
    (wheel,) = folder.glob("*.whl")
    (packages,) = folder.glob("venv/lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    for name in ("pytest", "_pytest", "pluggy", "iniconfig"):  # of the tests of a CorDapp
        source = find_spec(name)
        assert source is not None
        assert source.origin is not None
        (packages / name).symlink_to(Path(source.origin).parent)
    return folder / "venv" / "bin" / "python"


def strict(python: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    # One cache for all: what is installed need not be checked anew for each of them.
    cache = python.parents[2] / "cache"
    words = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(python)]
    words += ["--config-file", "", "--cache-dir", str(cache), str(folder)]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


def test_the_wheel_says_that_it_is_typed(installed: Path) -> None:
    (packages,) = installed.parents[1].glob("lib/python*/site-packages")
    typed = {path.parent.name for path in packages.rglob("py.typed")}
    assert list(packages.glob("host/**/*.html.jinja")), "what is no Python is in it, too"
    assert {"cordapp", "cordapp_testkit", "cpi", "host", "plugins", "sandbox"} <= typed


PYTHON_SAMPLES = [
    file.parent for file in sorted(SAMPLES.glob("*/cordapp.toml")) if any(file.parent.rglob("*.py"))
]


def succeeds(python: Path, folder: Path) -> None:
    done = strict(python, folder)
    assert done.stdout.startswith("Success: no issues found"), done.stdout + done.stderr


@pytest.mark.parametrize("sample", PYTHON_SAMPLES, ids=lambda sample: sample.name)
def test_a_sample_passes_strict_checks_with_its_tests(
    installed: Path, tmp_path: Path, sample: Path
) -> None:
    """As a project of its own, outside of this repository's packages."""
    shutil.copytree(sample, tmp_path / sample.name)
    succeeds(installed, tmp_path / sample.name)


def test_a_new_project_passes_strict_checks_with_its_test(installed: Path, tmp_path: Path) -> None:
    new_project(tmp_path, "shop-floor", vendor="v")
    succeeds(installed, tmp_path / "shop-floor")


def test_what_is_generic_keeps_its_types(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "uses.py").write_text(USES)
    succeeds(installed, tmp_path)


def test_a_value_that_may_be_another_is_told(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "misuses.py").write_text(MISUSES)
    done = strict(installed, tmp_path)
    assert "misuses.py:8: error: Incompatible return value type" in done.stdout
    assert "Found 1 error" in done.stdout


def test_the_test_kit_is_typed(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "kit.py").write_text("from cordapp_testkit import Network\nreveal_type(Network)\n")
    done = strict(installed, tmp_path)
    assert 'Revealed type is "def (' in done.stdout, done.stdout
