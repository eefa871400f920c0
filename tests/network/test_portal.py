"""Corda's documented steps, as shell scripts with curl, against one host.

Each script stands in `portal/`; only hosts, ports, names and the CA differ from the documentation.
They share a host, and follow each other: `STEPS` is in the order in which they run.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.workers.conftest import CORDBOX, HostProcess

_PORTAL = Path(__file__).parent / "portal"
_SAMPLE = Path(__file__).parents[2] / "sample_cordapps" / "hello"
_STORE = ("--keystore", "k.p12", "--storepass", "password", "--key", "signing key 1")
STEPS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "an MGM": ("mgm", {"MGM_NAME": "MGM"}),
    "its group policy": ("export-group-policy", {"MGM_NAME": "MGM"}),
    "a member": ("member", {"MGM_NAME": "MGM", "MEMBER_NAME": "Alice"}),
    "a notary": (
        "notary",
        {
            "MGM_NAME": "MGM",
            "MEMBER_NAME": "Notary",
            "NOTARY_SERVICE": "O=NotaryService, L=London, C=GB",
        },
    ),
    "approval rules": ("approval-rules", {"MGM_NAME": "MGM"}),
    "pre-auth tokens": ("pre-auth-tokens", {"MGM_NAME": "MGM"}),
    "suspension": ("suspension", {"MGM_NAME": "MGM", "MEMBER_NAME": "Alice"}),
    "group parameters": ("group-parameters", {"MGM_NAME": "MGM", "MEMBER_NAME": "Alice"}),
    "registration again": ("reregister", {"MGM_NAME": "MGM", "MEMBER_NAME": "Alice"}),
    "registration of the MGM again": (
        "mgm-reregister",
        {"MGM_NAME": "MGM", "MEMBER_NAME": "Alice"},
    ),
    "upgrade of a member": ("upgrade-member", {"MGM_NAME": "MGM", "MEMBER_NAME": "Alice"}),
    "session certificates": (
        "mgm",
        {"MGM_NAME": "CertifiedMGM", "SESSION_PKI": "Standard"},
    ),
    "a member with session certificates": (
        "member",
        {"MGM_NAME": "CertifiedMGM", "MEMBER_NAME": "Carol"},
    ),
    "mutual TLS": ("mutual-tls", {"MGM_NAME": "MutualMGM", "MEMBER_NAME": "Dave"}),
}


def _run(folder: Path, *words: str) -> None:
    subprocess.run(words, cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """What the scripts are given: a host that runs, packages, a signer and a CA."""
    folder = tmp_path_factory.mktemp("portal")
    store = ("--file", "k.p12", "--storepass", "password", "--alias", "signing key 1")
    _run(folder, CORDBOX, "keystore", "create", *store, "--dname", "CN=S, O=S, L=London, C=GB")
    _run(folder, CORDBOX, "cordapp", "build", str(_SAMPLE), *_STORE, "--output-dir", "out")
    _run(folder, CORDBOX, "notary", "create-cpb", "--file", "notary.cpb", *_STORE)
    (cpb,) = (folder / "out").glob("*.cpb")
    ca = folder / "ca"
    ca.mkdir()
    root = ("-keyout", "root-key.pem", "-out", "root-certificate.pem", "-subj", "/CN=Root")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    _run(ca, "openssl", "req", "-x509", "-nodes", *curve, "-days", "300", *root)
    (folder / "work").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    listens = ("--gateway-listen", f"127.0.0.1:{port}")
    host = HostProcess(folder, "--workers", "combined", *listens)
    rest_host, rest_port = host.url.removeprefix("https://").split(":")
    yield {
        "PATH": os.environ["PATH"],
        "PYTHON": sys.executable,
        "REST_API_HOST": rest_host,
        "REST_API_PORT": rest_port,
        "REST_API_USER": "admin",
        "REST_API_PASSWORD": "given",
        "P2P_GATEWAY_HOST": "127.0.0.1",
        "P2P_GATEWAY_PORT": str(port),
        "WORK_DIR": str(folder / "work"),
        "CA_DIR": str(ca),
        "CORDA_CLI": CORDBOX,
        "KEYSTORE": str(folder / "k.p12"),
        "STOREPASS": "password",
        "KEY_ALIAS": "signing key 1",
        "CPB": str(cpb),
        "NOTARY_CPB": str(folder / "notary.cpb"),
        "HOST_LOG": str(host.log),
    }
    host.end()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.crash
@pytest.mark.parametrize("step", STEPS)
def test_documented_steps(given: Mapping[str, str], step: str) -> None:
    script, names = STEPS[step]
    done = subprocess.run(
        ["bash", str(_PORTAL / f"{script}.sh")],
        env={**given, **names},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    log = Path(given["HOST_LOG"]).read_text()[-3000:]
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{log}"


def test_every_script_is_run() -> None:
    run = {script for script, _ in STEPS.values()}
    sourced = {"common", "session-certificates"}
    assert {path.stem for path in _PORTAL.glob("*.sh")} == run | sourced
