"""What is changed on one host counts on the others, and secrets stay out of the database."""

import subprocess
import time
from pathlib import Path

import pytest

from tests.postgres.conftest import Start
from tests.support.killable_host import ALICE, CORDBOX, make_packages
from tests.support.postgres import Cluster, PostgresServer, server_programs

pytestmark = pytest.mark.timeout(900)


@pytest.mark.acceptance(9, 14)
def test_what_one_host_changes_counts_on_the_other(
    start: Start, tmp_path: Path, cluster: Cluster, postgres_server: PostgresServer
) -> None:
    (tmp_path / "packages").mkdir()
    packages = make_packages(tmp_path / "packages")
    one, two = start("one"), start("two")
    pem = {"certificate": (packages / "k.pem").read_bytes()}
    where = "/certificate/cluster/code-signer"
    assert one.ask("PUT", where, data={"alias": "a"}, files=pem).status_code == 204
    # Uploaded on one, polled on the other, and used there.
    cpi = {"upload": ("iou.cpi", (packages / "iou.cpi").read_bytes())}
    upload = one.ask("POST", "/cpi", files=cpi).json()["id"]
    stored = two.until(f"/cpi/status/{upload}", lambda s: s["status"] == "OK")
    body = {"cpiFileChecksum": stored["cpiFileChecksum"], "x500Name": ALICE}
    request = two.ask("POST", "/virtualnode", json=body).json()["requestId"]
    made = one.until(f"/virtualnode/status/{request}", lambda s: s["status"] == "SUCCEEDED")
    node = made["resourceId"]
    two.until(f"/virtualnode/{node}", lambda found: found["holdingIdentity"]["shortHash"] == node)
    # A node's state.
    change = one.ask("PUT", f"/virtualnode/{node}/state/MAINTENANCE")
    assert change.is_success, change.text
    two.until(
        f"/virtualnode/{node}",
        lambda found: found["flowOperationalStatus"] == "INACTIVE",
    )
    # A changed password, at once in every process.
    new = {"username": "admin", "password": "another-1"}
    changed = one.ask("POST", "/user/otheruserpassword", json=new)
    assert changed.is_success, changed.text
    deadline = time.monotonic() + 30
    while two.ask("GET", "/cpi").status_code != 401:
        assert time.monotonic() < deadline
    assert two.ask("GET", "/cpi", auth=("admin", "another-1")).status_code == 200
    _no_secret_is_in_the_database(cluster, postgres_server, tmp_path)
    _a_host_with_another_passphrase_does_not_start(cluster, tmp_path)


def _no_secret_is_in_the_database(cluster: Cluster, server: PostgresServer, folder: Path) -> None:
    programs = server_programs()
    assert programs is not None
    dumped = subprocess.run(
        [
            programs / "pg_dump",
            "-h127.0.0.1",
            f"-p{server.port}",
            "-Usuperuser",
            "--inserts",
            cluster.name,
        ],
        capture_output=True,
        check=True,
        env={"PGPASSWORD": server.password},
    ).stdout
    assert b"key_signing" in dumped
    logs = b"".join((folder / name / "host.log").read_bytes() for name in ("one", "two"))
    for secret in (b"the same on all hosts", b"another-1", server.password.encode()):
        assert secret not in dumped
        assert secret not in logs
    assert b"PRIVATE KEY" not in dumped
    assert b"PRIVATE KEY" not in logs


def _a_host_with_another_passphrase_does_not_start(cluster: Cluster, folder: Path) -> None:
    other = folder / "other-passphrase"
    other.write_text("another one\n")
    other.chmod(0o600)
    settings = {**cluster.environment, "CORDBOX_MASTER_PASSPHRASE_FILE": str(other)}
    refused = subprocess.run(
        [CORDBOX, "host", "run", "--data-dir", folder / "three", "--listen", "127.0.0.1:0",
         "--workers", "combined"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**settings, "CORDBOX_HOST_NAME": "three", "PATH": "/usr/bin"},
        timeout=120,
    )  # fmt: skip
    assert refused.returncode != 0
    assert "error[master-key]" in refused.stderr
