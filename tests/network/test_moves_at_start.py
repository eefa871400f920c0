"""Moves of nodes that an earlier process of a host has left."""

import sqlite3
from pathlib import Path

from starlette.testclient import TestClient

from host.database.claims import CLAIM_MS
from host.domain.workers import COMBINED
from host.runtime.wiring.base import own_host_name
from tests.support.hosts import polled, running_host, settings_of

PASSWORD = "p"
REQUEST = "7f1c6f0e-4b1c-4a2e-9d5b-0c6a3d2e1f00"


def test_a_host_that_starts_goes_on_with_its_moves_before_their_claims_run_out(
    tmp_path: Path,
) -> None:
    with running_host(tmp_path, password=PASSWORD, host_name="one"):
        pass
    place = f"{own_host_name(settings_of(tmp_path, host_name='one'))}/{COMBINED}"
    row = {
        "request_id": REQUEST,
        "kind": "export",
        "short_hash": "ABCDEF012345",
        "status": "ACCEPTED",
        "stage": "pausing",
        "bytes_done": 0,
        "bytes_total": 0,
        "started_at": 1,
        "updated_at": 1,
        "claimed_by": f"{place}/before",
        "claimed_until": 2**53 + CLAIM_MS,
    }
    with sqlite3.connect(tmp_path / "cluster.sqlite") as database:
        names = ", ".join(row)
        marks = ", ".join(f":{name}" for name in row)
        database.execute(f"INSERT INTO node_transfer ({names}) VALUES ({marks})", row)
    database.close()
    with running_host(tmp_path, password=PASSWORD, host_name="one") as host:
        client = TestClient(host.asgi, base_url="https://testserver/api/v5_2")
        client.auth = ("admin", PASSWORD)
        ended = polled(client, f"maintenance/transfer/{REQUEST}", lambda t: t["status"] == "FAILED")
    assert "ABCDEF012345" in str(ended)
