"""Packages to audit: the samples, built and signed once, and contracts made by hand."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard
from cryptography.hazmat.primitives.serialization import Encoding

from cpi.crypto.keys import SigningKey
from cpi.package.build import CpkSpec, build_cpb, build_cpi, build_cpk
from cpi.package.descriptor import CodeDescriptor, dump_descriptor
from cpi.package.group_policy_generation import generate_static_policy
from host.tools.audit.facts import audit_package
from host.tools.audit.gauntlet.texts import contract_text
from host.tools.audit.model import Audit
from host.tools.cache import default_cache_dir
from host.tools.cordapps.build import build_cordapp
from sandbox.limits import Limits
from sandbox.runtime import Sandbox
from sandbox.wat import assemble
from tests.support.keystores import make_key

SAMPLES = Path(__file__).parents[2] / "sample_cordapps"
NOW = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    cpk: bytes
    cpb: bytes
    cpi: bytes


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return make_key(tmp_path_factory.mktemp("audit-key"), "auditee")


@pytest.fixture(scope="session")
def other_key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return make_key(tmp_path_factory.mktemp("audit-key"), "stranger")


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    return Sandbox(cache_dir=default_cache_dir())


@pytest.fixture(scope="session")
def sample(
    key: SigningKey, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Sample]:
    """Builds a sample CorDapp; once."""
    made: dict[str, Sample] = {}

    def build(name: str) -> Sample:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            built = build_cordapp(SAMPLES / name, (key,), folder, sandbox, lambda _: None)
            cpb = built.cpb.path.read_bytes()
            policy = generate_static_policy(
                names=("O=Alice, L=London, C=GB",),
                group_id="6b3c2d6e-1c22-4d6e-9d3c-111111111111",
                endpoint_url="https://localhost:1080",
                endpoint_protocol=1,
                trust_root=None,
            )
            cpi = build_cpi(
                name=name, version="1.0.0", cpb=("a.cpb", cpb), group_policy=policy, keys=(key,)
            )
            made[name] = Sample(cpk=built.cpks[-1].file.path.read_bytes(), cpb=cpb, cpi=cpi)
        return made[name]

    return build


DESCRIPTION = {
    "contracts": [{"name": "wat.Contract", "states": []}],
    "states": [],
    "commands": [],
    "flows": [],
    "entities": [],
}


def described(wat: str) -> str:
    """A contract's text whose `describe` answers DESCRIPTION."""
    told = json.dumps(DESCRIPTION)
    data = "".join(f"\\{byte:02x}" for byte in told.encode())
    return wat.replace('(data (i32.const 32) "{}")', f'(data (i32.const 1024) "{data}")').replace(
        "(i32.store (i32.const 48) (i32.const 32)) (i32.store (i32.const 52) (i32.const 2))",
        f"(i32.store (i32.const 48) (i32.const 1024)) (i32.store (i32.const 52) (i32.const {len(told)}))",
    )


@pytest.fixture(scope="session")
def component_cpk(key: SigningKey) -> Callable[..., bytes]:
    """A contract CPK in component form; `facts` are lies of its descriptor."""

    def build(*, name: str = "com.example.wat", version: str = "1.0.0", **options: Any) -> bytes:
        facts = options.pop("facts", {})
        wasm = assemble(described(contract_text("(i32.const 80)", **options)))
        descriptor = {
            "world": "contract",
            "world_version": "1.0.0",
            "form": "component",
            "code_digest": "SHA-256:" + hashlib.sha256(wasm).hexdigest().upper(),
            "component_path": "wasm/component.wasm.zst",
            "component_size": len(wasm),
            "contracts": tuple(DESCRIPTION["contracts"]),
            **facts,
        }
        spec = CpkSpec(
            symbolic_name=name,
            version=version,
            cordapp_kind="contract",
            cordapp_name=name,
            cordapp_version=1,
            vendor="Tests",
            licence="none",
            entries={
                "wasm/descriptor.json": dump_descriptor(CodeDescriptor(**descriptor)),
                "wasm/component.wasm.zst": zstandard.compress(wasm),
            },
        )
        return build_cpk(spec, (key,))

    return build


@pytest.fixture(scope="session")
def cpb_of(key: SigningKey) -> Callable[..., bytes]:
    def build(*cpks: bytes) -> bytes:
        files = {f"cpk{number}.jar": cpk for number, cpk in enumerate(cpks)}
        return build_cpb(name="app", version="1", cpks=files, keys=(key,))

    return build


@pytest.fixture(scope="session")
def audit(key: SigningKey, sandbox: Sandbox) -> Callable[..., Audit]:
    """Audits bytes; trusts the signer unless told otherwise."""

    def run(data: bytes, **options: Any) -> Audit:
        defaults: dict[str, Any] = {
            "file": "app.cpi",
            "trusted": key.certificate_chain[:1],
            "sandbox": sandbox,
            "limits": Limits(),
        }
        return audit_package(data, **{**defaults, **options})

    return run


@pytest.fixture(scope="session")
def pem(key: SigningKey, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pem") / "auditee.pem"
    path.write_bytes(key.certificate_chain[0].public_bytes(Encoding.PEM))
    return path
