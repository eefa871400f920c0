"""Keys, packages of the IOU sample, and wheels made by hand.

Projects here are the IOU in other clothes: its code, moved into a wheel or a CPK of somebody else,
gives the same component, which the cache holds after the first run.
"""

import base64
import hashlib
import io
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cpi.crypto.keys import SigningKey, load_signing_key
from host.tools.cache import default_cache_dir
from host.tools.cordapps.build import BuiltCordapp, build_cordapp
from sandbox.runtime import Sandbox
from tests.support import keystores
from tests.support.keystores import PASSWORD

SAMPLES = Path(__file__).parents[2] / "sample_cordapps"
VENDORING = 'vendor-lock = "requirements.lock"\nvendor-wheels = "wheels"\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Keystore:
    path: Path
    password: str
    key: SigningKey


def make_keystore(folder: Path, alias: str) -> Keystore:
    """RSA, whose signatures are the same each time."""
    path = keystores.make_keystore(folder, alias, "RSA")
    key = load_signing_key(path, password=PASSWORD, alias=alias)
    return Keystore(path=path, password=PASSWORD, key=key)


@pytest.fixture(scope="session")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> Keystore:
    return make_keystore(tmp_path_factory.mktemp("keystore"), "signer")


@pytest.fixture(scope="session")
def other_key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return make_keystore(tmp_path_factory.mktemp("other"), "other").key


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    return Sandbox(cache_dir=default_cache_dir())


def copy_of_iou(folder: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__", "build", "test_*", "README.md")
    return Path(shutil.copytree(SAMPLES / "iou", folder / "iou", ignore=ignored))


@pytest.fixture
def iou_project(tmp_path: Path) -> Path:
    """A copy of the IOU sample that a test may change."""
    return copy_of_iou(tmp_path)


@pytest.fixture(scope="session")
def iou(
    keystore: Keystore, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> BuiltCordapp:
    folder = tmp_path_factory.mktemp("iou")
    return build_cordapp(SAMPLES / "iou", (keystore.key,), folder, sandbox, lambda _: None)


@pytest.fixture
def build(keystore: Keystore, sandbox: Sandbox, tmp_path: Path) -> Callable[[Path], BuiltCordapp]:
    def built(project: Path, out: str = "out") -> BuiltCordapp:
        return build_cordapp(
            project, (keystore.key,), tmp_path / out, sandbox, progress=lambda _: None
        )

    return built


def wheel_bytes(name: str, version: str, files: Mapping[str, str | bytes]) -> bytes:
    """A wheel as PEP 427 wants it, without a tag in its content that would contradict its name."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    content: dict[str, str | bytes] = {
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **files,
    }
    record = "".join(f"{path},{_record_hash(data)}\n" for path, data in content.items())
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in {**content, f"{info}/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), data)
    return out.getvalue()


def _record_hash(data: str | bytes) -> str:
    raw = data.encode() if isinstance(data, str) else data
    digest = base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).rstrip(b"=").decode()
    return f"sha256={digest},{len(raw)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A folder with wheels and the lock that pins them."""

    folder: Path

    @property
    def lock(self) -> Path:
        return self.folder / "requirements.lock"

    @property
    def wheels(self) -> Path:
        return self.folder / "wheels"

    def put(
        self,
        name: str,
        files: Mapping[str, Any] | None = None,
        *,
        version: str = "1.0",
        tag: str = "py3-none-any",
        data: bytes | None = None,
    ) -> Path:
        """Add a wheel and pin it."""
        self.wheels.mkdir(exist_ok=True)
        path = self.wheels / f"{name}-{version}-{tag}.whl"
        if data is None:
            data = wheel_bytes(name, version, files or {f"{name}.py": "x = 1\n"})
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        with self.lock.open("a") as lock:
            lock.write(f"{name}=={version} --hash=sha256:{digest}\n")
        return path


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(folder=tmp_path)


@pytest.fixture
def iou_with_a_wheel(iou_project: Path) -> Path:
    """The IOU, one of whose workflow modules comes from a wheel."""
    module = iou_project / "workflows" / "iou_checks.py"
    files = {"iou_checks.py": module.read_text(), "iou_checks-1.0.dist-info/LICENSE": "Do."}
    module.unlink()
    Shelf(folder=iou_project).put("iou_checks", files)
    toml = iou_project / "cordapp.toml"
    toml.write_text(toml.read_text() + VENDORING)
    return iou_project


@pytest.fixture
def iou_on_a_foreign_contract(iou_project: Path, other_key: SigningKey, sandbox: Sandbox) -> Path:
    """The IOU's workflow alone, upon a contract CPK that another key signed."""
    made = iou_project.parent / "foreign"
    built = build_cordapp(iou_project, (other_key,), made, sandbox, lambda _: None)
    shutil.copy(built.cpks[0].file.path, iou_project / "their-contract.jar")
    shutil.rmtree(iou_project / "contracts")
    toml = iou_project / "cordapp.toml"
    text = toml.read_text()
    head, tail = text[: text.index("[contract]")], text[text.index("[workflow]") :]
    toml.write_text(f'{head}{tail}\n[[workflow.dependencies]]\nfile = "their-contract.jar"\n')
    return iou_project
