"""The composition root: what plugins add, what is missing, and what a failed start leaves."""

import os

import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from host.adapters.files.data_directory import DataDirectory
from host.domain.errors import StorageError
from host.nodes.audit_log.service import AuditKeyDamagedError, AuditKeyMissingError
from host.rest.observe import Readiness, health_routes
from host.runtime.wiring.base import PluginMissingError
from host.runtime.wiring.capabilities import CapabilityTwiceError
from tests.support.data_directories import ALICE, BOB, make_directory

PLUGIN = """
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from host.runtime.hookspecs import hookimpl

class Quotes:
    name = "{name}"
    def call(self, context, function, request):
        return None

@hookimpl
def register_capabilities():
    return (Quotes(),)

@hookimpl
def register_rest_routes():
    return (Route("/quotes", lambda request: PlainTextResponse("42")),)
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Installs a plugin `quotes` that gives a capability of the given name and a route."""

    def install(capability):
        module = f"quotes_{capability}"
        (tmp_path / f"{module}.py").write_text(PLUGIN.format(name=capability))
        info = tmp_path / "quotes-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: quotes\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[cordbox]\nquotes = {module}\n")
        monkeypatch.syspath_prepend(tmp_path)
        return {"plugins": ("embedded", "quotes"), "plugin_entry_points": True}

    return install


def test_a_plugin_adds_routes_beside_the_api(tmp_path, plugin, host_on, client_of):
    with host_on(tmp_path / "data", **plugin("quotes")) as host, client_of(host) as client:
        assert client.get("/quotes").text == "42"


def test_a_capability_that_is_there_already_stops_the_start(tmp_path, plugin, host_on):
    with (
        pytest.raises(CapabilityTwiceError, match="'ledger'"),
        host_on(tmp_path / "data", **plugin("ledger")),
    ):
        pass


def test_a_host_without_adapters_says_which_hook_is_missing(tmp_path, host_on):
    with pytest.raises(PluginMissingError, match="register_storage"), host_on(tmp_path, plugins=()):
        pass


def test_a_failed_start_frees_the_data_directory(tmp_path, host_on):
    with pytest.raises(PluginMissingError), host_on(tmp_path, plugins=()):
        pass
    DataDirectory.hold(tmp_path).release()
    with host_on(tmp_path) as host:
        assert host.services.virtual_nodes.all() == []


def test_what_was_stored_is_there_after_a_restart(tmp_path, host_on, client_of, stored_cpi):
    data_dir = tmp_path / "data"
    cpi = stored_cpi(data_dir)
    with host_on(data_dir) as host, client_of(host) as client:
        before = client.get("/api/v5_2/cpi").json()
        assert before["cpis"][0]["cpiFileFullChecksum"] in cpi.file_checksum
    with host_on(data_dir) as host, client_of(host) as client:
        assert client.get("/api/v5_2/cpi").json() == before
        assert client.get("/status").json() == {"status": "OK"}


def test_a_broken_vault_keeps_no_host_from_starting_and_is_named(tmp_path, host_on, client_of):
    make_directory(tmp_path / "data")
    vaults = {
        node: tmp_path / "data" / "vnodes" / node.short_hash / "vault.sqlite"
        for node in (ALICE, BOB)
    }
    kept = vaults[BOB].read_bytes()
    vaults[ALICE].unlink()
    os.truncate(vaults[BOB], 0)
    (package,) = (tmp_path / "data" / "packages").iterdir()
    package.unlink()
    with capture_logs() as logged, host_on(tmp_path / "data") as host, client_of(host) as client:
        reply = client.get("/status")
        assert (reply.status_code, reply.json()["status"]) == (200, "DEGRADED")
        warning, missing = reply.json()["warnings"]
        assert warning["code"] == "vault-unusable"
        assert missing["code"] == "package-missing"
        assert f"{ALICE.short_hash} (vault-missing)" in warning["message"]
        assert f"{BOB.short_hash} (vault-empty)" in warning["message"]
    told = [(each["event"], each.get("holding_id")) for each in logged]
    assert ("vault-unusable", ALICE.short_hash) in told
    assert ("vault-unusable", BOB.short_hash) in told
    assert ("package-missing", None) in told
    vaults[BOB].write_bytes(kept)
    with host_on(tmp_path / "data") as host, client_of(host) as client:
        warning, _ = client.get("/status").json()["warnings"]
        assert BOB.short_hash not in warning["message"]


def test_a_host_whose_storage_fails_says_so_and_lives():
    problems = [("disk", StorageError("/secret/disk is gone", path="/secret/disk"))]
    found = Readiness(problems=problems, warnings={"certificate-expires": "soon"})
    with TestClient(Starlette(routes=health_routes(CollectorRegistry(), lambda: found))) as client:
        reply = client.get("/status")
        assert reply.status_code == 503
        assert reply.json() == {
            "status": "FAILED",
            "code": "storage",
            "reasons": [{"check": "disk", "code": "storage", "message": "disk is gone"}],
            "warnings": [{"code": "certificate-expires", "message": "soon"}],
        }
        assert client.get("/isHealthy").status_code == 200


@pytest.mark.parametrize(
    ("lose", "refusal"),
    [
        (lambda key: key.unlink(), AuditKeyMissingError),
        (lambda key: os.truncate(key, 0), AuditKeyDamagedError),
    ],
    ids=["gone", "empty"],
)
def test_a_host_whose_audit_key_is_lost_starts_with_no_other(tmp_path, host_on, lose, refusal):
    data = make_directory(tmp_path / "data")
    key = data / "secrets" / "audit-key"
    lose(key)
    before = key.exists()
    with pytest.raises(refusal, match=str(key)), host_on(data):
        pass
    assert key.exists() is before
