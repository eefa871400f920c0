"""The signed CPI of the IOU sample, and its transactions and golden receipts."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from cpi.crypto.keys import SigningKey
from cpi.package.build import build_cpi
from cpi.package.group_policy_generation import generate_static_policy
from host.cli.contract import command
from host.tools.cache import default_cache_dir
from host.tools.contracts.verification import CpiContracts, open_contracts
from host.tools.cordapps.build import build_cordapp
from sandbox.limits import Limits
from sandbox.runtime import Sandbox
from tests.support.keystores import make_key

SAMPLES = Path(__file__).parents[2] / "sample_cordapps"
GOLDEN = SAMPLES / "iou" / "receipts"
TRANSACTIONS = GOLDEN / "transactions.jsonl"
PASSWORD = "test-password"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A CPI file and the PEM file of its signer."""

    cpi: Path
    certificate: Path


MakeCpi = Callable[[Path], Signed]


@pytest.fixture(scope="session")
def make_cpi(tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> MakeCpi:
    """Builds the project of a folder into a signed CPI."""
    key = make_key(tmp_path_factory.mktemp("keystore"), "signer")

    def make(project: Path) -> Signed:
        return signed_cpi(project, tmp_path_factory.mktemp(project.name), key, sandbox)

    return make


def signed_cpi(project: Path, out: Path, key: SigningKey, sandbox: Sandbox) -> Signed:
    """Build the project of a folder into a signed CPI in `out`."""
    built = build_cordapp(project, (key,), out, sandbox, progress=lambda _: None)
    policy = generate_static_policy(
        names=("O=Alice, L=London, C=GB",),
        group_id="6b3c2d6e-1c22-4d6e-9d3c-111111111111",
        endpoint_url="https://localhost:1080",
        endpoint_protocol=1,
        trust_root=None,
    )
    cpb = ("app.cpb", built.cpb.path.read_bytes())
    signed = Signed(cpi=out / f"{project.name}.cpi", certificate=out / "signer.pem")
    signed.cpi.write_bytes(
        build_cpi(name=project.name, version="1.0.0", cpb=cpb, group_policy=policy, keys=(key,))
    )
    signed.certificate.write_bytes(key.certificate_chain[0].public_bytes(Encoding.PEM))
    return signed


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    return Sandbox(cache_dir=default_cache_dir())


@pytest.fixture(scope="session")
def iou(make_cpi: MakeCpi) -> Signed:
    return make_cpi(SAMPLES / "iou")


@pytest.fixture(scope="session")
def contracts(iou: Signed, sandbox: Sandbox) -> CpiContracts:
    return contracts_of(iou, sandbox)


def contracts_of(signed: Signed, sandbox: Sandbox) -> CpiContracts:
    from cpi.crypto.certificates import load_pem_certificates

    pem = signed.certificate.read_bytes()
    trusted = load_pem_certificates(pem, source=str(signed.certificate))
    return open_contracts(
        signed.cpi.read_bytes(), trusted=trusted, sandbox=sandbox, limits=Limits()
    )


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Calls `cordbox contract` with words; gives exit code, stdout and stderr."""

    def call(*words: object) -> tuple[int, str, str]:
        code = command.main([str(word) for word in words], standalone_mode=False)
        captured = capsys.readouterr()
        return int(code or 0), captured.out, captured.err

    return call
