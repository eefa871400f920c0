"""`cordbox cpi|vnode|member|key|certificate|config` against a host that really runs."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from host.cli import main
from tests.quotas.test_quota_error_texts import ALICE, cpi_of, key, project  # noqa: F401
from tests.rest.test_host_process import running

pytestmark = pytest.mark.slow
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, key) -> Path:  # noqa: F811  # the fixture
    """`a.cpi` and the certificate of its signer."""
    folder = tmp_path_factory.mktemp("commands")
    (folder / "a.cpi").write_bytes(cpi_of(project(folder / "p"), "failing", folder / "built", key))
    pem = key.certificate_chain[0].public_bytes(Encoding.PEM)
    (folder / "signer.pem").write_bytes(pem)
    return folder


@pytest.fixture(scope="module")
def where(folder: Path) -> Iterator[list[str]]:
    """Options that lead to a host without nodes."""
    with running(folder / "data", "--workers", "combined") as (_, facts):
        yield [
            *("--url", facts["url"], "--ca-file", facts["certificate"]),
            *("--password-file", facts["adminPasswordFile"]),
        ]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], where: list[str]) -> Run:
    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main([*map(str, words), *where])
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return run


def good(answer: tuple[int, str, str]) -> str:
    code, out, err = answer
    assert code == 0, err
    return out.strip()


def test_users_roles_and_permissions(run: Run, folder: Path) -> None:
    (folder / "pw").write_text("a password\n")
    role = good(run("role", "create", "Watcher"))
    made = good(run("permission", "create", "GET:/api/v5_./cpi", "--role", "Watcher"))
    listed = json.loads(
        good(run("permission", "list", "--prefix", "GET:/api/v5_./c", "--output", "json"))
    )
    assert [each["id"] for each in listed["permissions"]] == [made]
    words = ("user", "create", "pat", "--role", "Watcher", "--new-password-file", folder / "pw")
    assert role in good(run(*words))
    assert "GET:/api/v5_./cpi" in good(run("user", "permissions", "pat"))
    assert role not in good(run("user", "remove-role", "pat", "Watcher"))
    assert role in good(run("user", "assign-role", "pat", role))
    good(run("role", "remove-permission", "Watcher", made))
    assert "GET" not in good(run("user", "permissions", "pat"))
    good(run("role", "add-permission", role, made))
    assert "never" not in good(
        run("user", "set-password", "pat", "--new-password-file", folder / "pw")
    )
    assert "Watcher" in good(run("role", "list"))
    code, _, err = run("user", "assign-role", "pat", "Nothing")
    assert (code, err.startswith("error[not-found]: ")) == (1, True)


def test_from_a_file_to_a_registered_node(run: Run, folder: Path) -> None:
    cpi = folder / "a.cpi"
    code, _, err = run("cpi", "upload", cpi)
    assert (code, err.startswith("error[package-upload-refused]: ")) == (1, True), err
    checksum = good(run("cpi", "upload", cpi, "--certificate", folder / "signer.pem"))
    assert good(run("cpi", "upload", cpi)) == checksum  # it is there
    (listed,) = json.loads(good(run("cpi", "list", "--output", "json")))["cpis"]
    assert listed["cpiFileChecksum"] == checksum
    name, version = listed["id"]["cpiName"], listed["id"]["cpiVersion"]
    for named in (name, f"{name}:{version}", checksum):
        assert json.loads(good(run("cpi", "get", named, "--output", "json"))) == listed
    code, _, err = run("cpi", "get", "nothing")
    assert (code, err.startswith("error[not-found]: no CPI is named 'nothing'; ")) == (1, True), err

    node = good(run("vnode", "create", ALICE, "--cpi", name, "--register"))
    assert good(run("vnode", "list")).splitlines()[1].split(maxsplit=2) == [
        *(node, f"{name}:{version}", ALICE)
    ]
    assert good(run("member", "list", ALICE)).splitlines()[1].startswith("ACTIVE  1  ")
    code, _, err = run("vnode", "register", node)
    assert (code, "registered already" in err) == (1, True)
    assert run("vnode", "create", ALICE, "--cpi", name)[2].startswith("error[virtual-node-exists]")
    assert good(run("vnode", "state", node, "maintenance")) == f"{node}  MAINTENANCE"
    shown = json.loads(good(run("vnode", "get", ALICE, "--output", "json")))
    assert shown["flowStartOperationalStatus"] == "INACTIVE"
    assert good(run("vnode", "state", node, "active")) == f"{node}  ACTIVE"

    key_id = good(run("key", "create", node, "my-key", "--category", "LEDGER"))
    keys = json.loads(good(run("key", "list", node, "--category", "LEDGER", "--output", "json")))
    assert (key_id, "my-key") in {(each["keyId"], each["alias"]) for each in keys["keys"]}


def test_certificates_and_sections_of_the_cluster(run: Run, folder: Path) -> None:
    pem = (folder / "signer.pem").read_text()
    good(run("certificate", "upload", "code-signer", "second", folder / "signer.pem"))
    assert "second" in good(run("certificate", "list", "code-signer")).splitlines()
    assert good(run("certificate", "get", "code-signer", "second")) == pem.strip()
    assert run("certificate", "list", "nonsense")[2].startswith("error[certificate-refused]: ")

    section = "corda.p2p.gateway"
    before = json.loads(good(run("config", "get", section, "--output", "json")))["version"]
    assert good(run("config", "put", section, "{}")) == f"version:  {before + 1}"
    refused = run("config", "put", section, "{}", "--version", before)
    assert (refused[0], refused[2].startswith("error[config-version-conflict]: ")) == (1, True)
    assert run("config", "put", section, "[1")[0] == 2
    assert "maxRequestSize:" in good(run("config", "get", section))
