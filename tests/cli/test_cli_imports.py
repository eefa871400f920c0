"""What commands load: imports are most of the time of a short command, and are counted here."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from cpi.crypto.keystore_creation import create_keystore
from tests.cpi import support

_IMPORTED = re.compile(r"^import time:\s+\d+ \|\s+\d+ \| +(\S+)$", re.MULTILINE)
_PASSWORD = "secret"

NOT_FOR_PACKAGES = (
    "asn1crypto",
    "attr",
    "cryptography.x509",
    "email",
    "fastapi",
    "httpx2",
    "jinja2",
    "jsonschema",
    "msgspec",
    "multiprocessing",
    "pluggy",
    "plugins",
    "pydantic",
    "rich",
    "rich_click",
    "socket",
    "sqlalchemy",
    "sqlite3",
    "structlog",
    "wasmtime",
    "yaml",
)
"""Of the product, these are for other commands, for timestamps, dependencies and group policies."""

RULES = ("cpi.package.layers", "cpi.package.dependencies", "cpi.schemas", "zstandard")


def imported(words: Sequence[str]) -> frozenset[str]:
    """Every module that the command line imports while it runs these words, which must succeed."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "from host.cli import main; main()", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = frozenset(_IMPORTED.findall(done.stderr))
    assert "host.cli" in found
    return found


def forbidden(found: frozenset[str], names: Sequence[str]) -> list[str]:
    return sorted(m for m in found if any(m == n or m.startswith(f"{n}.") for n in names))


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("keys") / "k.p12"
    name = "CN=Signer, O=Acme, L=London, C=GB"
    file.write_bytes(create_keystore(password=_PASSWORD, alias="key", distinguished_name=name))
    return file


@pytest.fixture
def package(tmp_path: Path, keystore: Path) -> Path:
    from cpi.crypto.keys import load_signing_key

    file = tmp_path / "a.jar"
    key = load_signing_key(keystore, password=_PASSWORD, alias=None)
    file.write_bytes(support.cpk(key, dependencies=(), entries={"package/A.class": b"class"}))
    return file


def test_verifying_signatures_loads_nothing_of_the_rest(package: Path, keystore: Path) -> None:
    words = ["package", "verify", str(package), "--signature-only", "--type", "CPK"]
    found = imported([*words, "-s", str(keystore), "-p", _PASSWORD])
    assert forbidden(found, NOT_FOR_PACKAGES) == []
    # Rules about what is in a CPK are not for its signatures.
    assert forbidden(found, RULES) == []


def test_signing_loads_nothing_of_the_rest(package: Path, keystore: Path, tmp_path: Path) -> None:
    store = ["--keystore", str(keystore), "--storepass", _PASSWORD, "--key", "key"]
    target = ["--file", str(tmp_path / "signed.jar")]
    found = imported(["package", "sign", str(package), *target, *store])
    assert forbidden(found, NOT_FOR_PACKAGES) == []


def test_commands_that_show_no_help_load_no_rich() -> None:
    for words in (["--version"], ["runtime", "list"]):
        assert forbidden(imported(words), ["rich", "rich_click"]) == []
