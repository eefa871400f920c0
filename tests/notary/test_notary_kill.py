"""A host's process is killed after a notary's decision and before its answer: nothing is lost."""

import json
import sqlite3
import subprocess
from pathlib import Path

import pytest

from sample_cordapps.demo.killed_notary import install_killer
from sample_cordapps.demo.killer_plugin import MARK
from tests.notary.requests import NODE, SERVICE
from tests.support.killable_host import ALICE, BOB, CORDBOX, SIGNING, KillableHost

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(600)]
COINS = Path(__file__).parent / "coins"
MEMBER = {"corda.key.scheme": "CORDA.ECDSA.SECP256R1"}
NOTARY = MEMBER | {
    "corda.roles.0": "notary",
    "corda.notary.service.name": SERVICE,
    "corda.notary.service.flow.protocol.name": "com.r3.corda.notary.plugin.nonvalidating",
    "corda.notary.service.flow.protocol.version.0": "1",
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """A folder with the CPIs of coins and of the notary, and their signer's certificate."""
    folder = tmp_path_factory.mktemp("packages")

    def cordbox(*words):
        subprocess.run([CORDBOX, *map(str, words)], cwd=folder, check=True, capture_output=True)

    store = ("--file", "k.p12", "--storepass", "password", "--alias", "a")
    cordbox("keystore", "create", *store, "--dname", "CN=Signer, O=Acme, L=London, C=GB")
    cordbox("keystore", "export-certificate", *store, "--output", "k.pem")
    members = [word for name in (ALICE, BOB, NODE) for word in ("--name", name)]
    endpoint = ("--endpoint", "http://localhost:1080", "--endpoint-protocol", "1")
    cordbox("network", "groupPolicy", *members, *endpoint, "--output-file", "policy.json")
    cordbox("cordapp", "build", COINS, *SIGNING, "--output-dir", "out")
    cordbox("notary", "create-cpb", "--file", "notary.cpb", *SIGNING)
    (coins,) = (folder / "out").glob("*.cpb")
    for name, cpb in (("coins", coins), ("notary", "notary.cpb")):
        cpi = ("--cpi-name", name, "--cpi-version", "1", "--file", f"{name}.cpi")
        cordbox("package", "create-cpi", "--cpb", cpb, "-g", "policy.json", *cpi, *SIGNING)
    return folder


@pytest.fixture(params=["flow=2", "flow=2,crypto=1,uniqueness=1,persistence=1"])
def host(request, tmp_path, packages):
    """A host with a network of three nodes, whose process with the keys the plugin kills.

    That process is the one that has decided, or the one that was asked for the signature.
    """
    host = KillableHost(
        tmp_path, ("--workers", request.param), environment=install_killer(tmp_path)
    )
    host.start()
    try:
        form_network(host, packages)
        yield host
    finally:
        host.kill()


def form_network(host, packages):
    pem = {"certificate": (packages / "k.pem").read_bytes()}
    where = "/certificate/cluster/code-signer"
    assert host.ask("PUT", where, data={"alias": "a"}, files=pem).status_code == 204
    checksums = {}
    for name in ("coins", "notary"):
        cpi = {"upload": (f"{name}.cpi", (packages / f"{name}.cpi").read_bytes())}
        upload = host.ask("POST", "/cpi", files=cpi).json()["id"]
        stored = host.until(f"/cpi/status/{upload}", lambda s: s["status"] == "OK")
        checksums[name] = stored["cpiFileChecksum"]
    for name, cpi, context in (
        (NODE, "notary", NOTARY),
        (ALICE, "coins", MEMBER),
        (BOB, "coins", MEMBER),
    ):
        body = {"cpiFileChecksum": checksums[cpi], "x500Name": name}
        request = host.ask("POST", "/virtualnode", json=body).json()["requestId"]
        made = host.until(f"/virtualnode/status/{request}", lambda s: s["status"] == "SUCCEEDED")
        host.nodes[name] = node = made["resourceId"]
        reply = host.ask(
            "POST",
            f"/membership/{node}",
            json={"memberRegistrationRequest": {"context": context}},
        )
        assert reply.status_code == 200, reply.text
        host.until(
            f"/membership/{node}",
            lambda found: any(r["registrationStatus"] == "APPROVED" for r in found),
        )


def run(host, name, request_id, flow_class, body):
    reply = host.flow(name, request_id, flow_class, body)
    assert reply.status_code == 202, reply.text
    status = host.result(name, request_id)
    assert status["flowStatus"] == "COMPLETED", status
    return status["flowResult"]


def coins(host, name, request_id):
    return json.loads(run(host, name, request_id, "coins_flows.Coins", None))


def test_a_process_that_is_killed_between_decision_and_answer_loses_no_transaction(host, tmp_path):
    payment = {"notary": SERVICE, "amount": 5}
    coin = run(host, ALICE, "issue", "coins_flows.PayCoin", payment)
    mark = tmp_path / "data" / MARK
    mark.touch()
    workers = host.worker_pids()
    body = {**payment, "coin": coin, "to": BOB}
    moved = run(host, ALICE, "move", "coins_flows.PayCoin", body)
    assert not mark.exists()
    assert set(workers) - set(host.worker_pids()), "a worker was killed"
    assert moved.startswith("SHA-256D:")
    assert coins(host, ALICE, "of-alice") == []
    assert coins(host, BOB, "of-bob") == [5]
    file = tmp_path / "data" / "vnodes" / host.nodes[NODE] / "uniqueness.sqlite"
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
        results = connection.execute("SELECT result FROM notarised").fetchall()
        spent = connection.execute("SELECT count(*) FROM consumed").fetchone()
    assert (results, spent) == ([("A",), ("A",)], (1,))
