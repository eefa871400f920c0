"""A signed IOU CPI, built once from the sample's sources; packages by hand; a service to use."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zstandard
from cryptography.hazmat.primitives.serialization import Encoding
from wasmtime import wat2wasm

from cpi.crypto.keys import SigningKey
from cpi.package.build import CpkSpec, build_cpb, build_cpi, build_cpk
from cpi.package.descriptor import CodeDescriptor, dump_descriptor
from cpi.package.group_policy_generation import generate_static_policy
from cpi.package.verify import read_package
from host.adapters.files.cpi_files import CpiFolder
from host.adapters.sqlite.database import Database
from host.database.claims import Claimant
from host.domain.clock import SimClock
from host.domain.ids import Checksum
from host.guests.admissions import Admissions
from host.nodes.packages.service import PackageService
from host.nodes.packages.tables import PACKAGES
from host.ports.live import Fixed
from host.tools.cache import default_cache_dir
from host.tools.cordapps.build import BuiltCordapp, build_cordapp
from sandbox.runtime import Sandbox
from tests.support.keystores import NOW, PASSWORD, make_key

SAMPLES = Path(__file__).parents[2] / "sample_cordapps"
GROUP_ID = "6b3c2d6e-1c22-4d6e-9d3c-111111111111"
MEMBERS = ("O=Alice, L=London, C=GB", "O=Bob, L=London, C=GB")


class ByHand(Executor):
    """Runs what was submitted when the test says so."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        self._closed = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        self._waiting.append((fn, args))
        return Future()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._closed = True

    def run_all(self) -> None:
        while self._waiting:
            function, arguments = self._waiting.pop(0)
            function(*arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A package service over an empty data directory."""

    service: PackageService
    executor: ByHand
    folder: Path

    def trust(self, key: SigningKey) -> None:
        pem = key.certificate_chain[0].public_bytes(Encoding.PEM)
        self.service.certificates.import_certificate("code-signer", key.alias, pem)

    def upload(self, data: bytes, *, force: bool = False) -> str:
        """Upload and let the background part end; answers the request id."""
        request_id = self.service.upload(data, "test.cpi", force=force)
        self.executor.run_all()
        return request_id

    def read(self, checksum: Checksum) -> bytes:
        """The bytes of a stored CPI."""
        return b"".join(self.service.chunks(checksum))

    def files(self) -> list[Path]:
        return sorted((self.folder / "packages").iterdir())


DESCRIPTION = {
    "sdk": "wat",
    "contracts": [{"name": "wat.Contract", "states": ["wat.State"]}],
    "states": [{"name": "wat.State", "contract": "wat.Contract", "schema": {}}],
    "commands": [],
    "flows": [],
    "entities": [],
}
CLOCK = '(import "wasi:clocks/monotonic-clock@0.2.0" (instance (export "now" (func (result u64)))))'


def contract_component(
    *,
    refusal: str = "",
    description: object = None,
    changes: Mapping[str, object] | None = None,
    imports: str = "",
) -> bytes:
    """A contract that accepts everything, or answers `refusal` to everything."""
    told, said = json.dumps(description or DESCRIPTION | dict(changes or {})), refusal
    text = f"""
(component
  {imports}
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 1024) {_quoted(told)})
    (data (i32.const 16384) {_quoted(said)})
    (func (export "describe") (result i32)
      (i32.store (i32.const 0) (i32.const 1024))
      (i32.store (i32.const 4) (i32.const {len(told)}))
      (i32.const 0))
    (func (export "verify") (param i32 i32) (result i32)
      (i32.store8 (i32.const 16) (i32.const {1 if refusal else 0}))
      (i32.store (i32.const 20) (i32.const 16384))
      (i32.store (i32.const 24) (i32.const {len(said)}))
      (i32.const 16))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768)))
  (core instance $i (instantiate $m))
  (func (export "describe") (result string)
    (canon lift (core func $i "describe") (memory (core memory $i "memory"))))
  (func (export "verify") (param "transaction" string) (result (result (error string)))
    (canon lift (core func $i "verify") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
"""
    return bytes(wat2wasm(text))


def _quoted(text: str) -> str:
    return '"' + "".join(f"\\{byte:02x}" for byte in text.encode()) + '"'


def make_cpi(
    cpb: bytes | None,
    key: SigningKey,
    *,
    name: str = "iou",
    version: str = "1.0.0",
    group_id: str = GROUP_ID,
) -> bytes:
    policy = generate_static_policy(
        names=MEMBERS,
        group_id=group_id,
        endpoint_url="https://localhost:1080",
        endpoint_protocol=1,
        trust_root=None,
    )
    inside = None if cpb is None else ("app.cpb", cpb)
    return build_cpi(name=name, version=version, cpb=inside, group_policy=policy, keys=(key,))


def make_cpk(
    key: SigningKey,
    entries: Mapping[str, bytes],
    *,
    kind: str = "contract",
    name: str = "com.example.contract",
    min_platform_version: int = 50000,
) -> bytes:
    spec = CpkSpec(
        symbolic_name=name,
        version="1.0.0",
        cordapp_kind=kind,
        cordapp_name=name,
        cordapp_version=1,
        vendor="Tests",
        licence="none",
        entries=entries,
        min_platform_version=min_platform_version,
    )
    return build_cpk(spec, (key,))


def entries_of(wasm: bytes, **changes: Any) -> dict[str, bytes]:
    """Entries of a contract CPK around `wasm`; `changes` are lies of its descriptor."""
    facts = {
        "world": "contract",
        "world_version": "1.0.0",
        "form": "component",
        "code_digest": "SHA-256:" + hashlib.sha256(wasm).hexdigest().upper(),
        "component_path": "wasm/component.wasm.zst",
        "component_size": len(wasm),
        **{kind: tuple(DESCRIPTION[kind]) for kind in ("contracts", "states")},
    }
    return {
        "wasm/descriptor.json": dump_descriptor(CodeDescriptor(**{**facts, **changes})),
        "wasm/component.wasm.zst": zstandard.compress(wasm),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """Packages made by hand, signed by one key."""

    key: SigningKey

    def cpi(self, *cpks: bytes, **options: Any) -> bytes:
        files = {f"cpk{index}.jar": cpk for index, cpk in enumerate(cpks)}
        cpb = build_cpb(name="app", version="1", cpks=files, keys=(self.key,)) if cpks else None
        return make_cpi(cpb, self.key, **options)

    def cpk(self, entries: Mapping[str, bytes], **options: Any) -> bytes:
        return make_cpk(self.key, entries, **options)

    def contract_cpi(self, *, lies: Mapping[str, Any] | None = None, **component: Any) -> bytes:
        """A CPI with one contract CPK in component form."""
        wasm = contract_component(**component)
        return self.cpi(self.cpk(entries_of(wasm, **(lies or {}))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Keystore:
    path: Path
    password: str


@pytest.fixture(scope="session")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> Keystore:
    folder = tmp_path_factory.mktemp("keystore")
    make_key(folder, "signer")
    return Keystore(path=folder / "signer.p12", password=PASSWORD)


@pytest.fixture(scope="session")
def component() -> Callable[..., bytes]:
    return contract_component


@pytest.fixture(scope="session")
def component_entries() -> Callable[..., dict[str, bytes]]:
    return entries_of


@pytest.fixture(scope="session")
def clock_import() -> str:
    return CLOCK


@pytest.fixture(scope="session")
def repack(key: SigningKey) -> Callable[..., bytes]:
    """Changes a built CPK's descriptor and entries, and signs it again."""

    def changed(
        path: Path, lie: Callable[[CodeDescriptor], CodeDescriptor], **entries: bytes
    ) -> bytes:
        (cpk,) = read_package(path.read_bytes()).cpks
        descriptor = dump_descriptor(lie(cpk.descriptor))
        kept = {n: d for n, d in cpk.entries.items() if n.startswith("wasm/")}
        return make_cpk(key, {**kept, "wasm/descriptor.json": descriptor, **entries})

    return changed


@pytest.fixture(scope="session")
def make(key: SigningKey) -> Maker:
    return Maker(key=key)


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return make_key(tmp_path_factory.mktemp("key"), "signer")


@pytest.fixture(scope="session")
def other_key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return make_key(tmp_path_factory.mktemp("other-key"), "other")


@pytest.fixture(scope="session")
def rsa_key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    """A key whose signatures are deterministic."""
    return make_key(tmp_path_factory.mktemp("rsa-key"), "signer", "RSA")


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    return Sandbox(cache_dir=default_cache_dir())


@pytest.fixture(scope="session")
def iou(
    key: SigningKey, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> BuiltCordapp:
    folder = tmp_path_factory.mktemp("iou")
    return build_cordapp(SAMPLES / "iou", (key,), folder, sandbox, progress=lambda _: None)


@pytest.fixture(scope="session")
def iou_cpi(iou: BuiltCordapp, key: SigningKey) -> bytes:
    return make_cpi(iou.cpb.path.read_bytes(), key)


@pytest.fixture
def bench(tmp_path: Path, sandbox: Sandbox) -> Iterator[Bench]:
    with (
        Database.open(tmp_path / "cluster.sqlite", [PACKAGES]) as database,
        Admissions(threads=2) as admissions,
    ):
        executor = ByHand()
        service = PackageService(
            database=database,
            files=CpiFolder(tmp_path / "packages"),
            sandbox=sandbox,
            clock=SimClock(int(NOW.timestamp() * 1000) + 1000),
            admissions=admissions,
            executor=executor,
            claimant=Claimant(place="rest", run="1"),
            upload_bytes_max=Fixed(1_000_000),
        )
        yield Bench(service=service, executor=executor, folder=tmp_path)
