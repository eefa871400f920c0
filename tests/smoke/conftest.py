"""One host with the smoke CorDapp and three nodes, for all smoke tests: everything over REST."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.testclient import TestClient

from cpi.package.build import build_cpi
from cpi.package.group_policy_generation import generate_static_policy
from host.tools.cache import default_cache_dir
from host.tools.cordapps.build import build_cordapp
from sandbox.runtime import Sandbox
from tests.support.hosts import polled, running_host
from tests.support.keystores import make_key

SMOKE = Path(__file__).parents[2] / "sample_cordapps" / "smoke"
ALICE, BOB, CHARLIE = (f"O={name}, L=London, C=GB" for name in ("Alice", "Bob", "Charlie"))
FLOW = "smoke_flows.RestSmokeTestFlow"
API = "/api/v5_2"
PASSWORD = "smoke-password"
SECONDS_MAX = 60


class Cluster:
    """What the smoke tests do over REST.

    Attributes:
        client: logged in as `admin`.
        cpi: the identity of the CorDapp's CPI, as REST shows it.
        nodes: short hashes by X.500 name.
    """

    def __init__(self, client):
        self.client = client
        self.cpi = {}
        self.nodes = {}
        self._count = 0

    def polled(self, path, until):
        """The JSON at `path` as soon as `until` holds for it."""
        return polled(self.client, f"{API}{path}", until)

    def post(self, path, **content):
        reply = self.client.post(f"{API}{path}", **content)
        assert reply.is_success, reply.text
        return reply.json()

    def trust(self, certificate):
        """Import the certificate of who signs CPIs."""
        reply = self.client.put(
            f"{API}/certificate/cluster/code-signer",
            data={"alias": "smoke"},
            files={"certificate": certificate},
        )
        assert reply.status_code == 204

    def upload(self, cpi):
        """Upload a CPI; its short checksum."""
        upload = self.post("/cpi", files={"upload": ("smoke.cpi", cpi)})["id"]
        checksum = self.polled(f"/cpi/status/{upload}", lambda s: s["status"] == "OK")
        return checksum["cpiFileChecksum"]

    def create_member(self, checksum, name):
        """A virtual node that is a member of its group."""
        request = {"cpiFileChecksum": checksum, "x500Name": name}
        started = self.post("/virtualnode", json=request)["requestId"]
        ended = self.polled(
            f"/virtualnode/status/{started}", lambda s: s["status"] in ("SUCCEEDED", "FAILED")
        )
        node = self.nodes[name] = ended["resourceId"]
        context = {"corda.key.scheme": "CORDA.ECDSA.SECP256R1"}
        progress = self.post(f"/membership/{node}", json={"context": context})
        self.polled(
            f"/membership/{node}/{progress['registrationId']}",
            lambda s: s["registrationStatus"] == "APPROVED",
        )

    def start(self, name, command, data=None, flow=FLOW):
        """Start a flow; the path of its status."""
        self._count += 1
        body = {"command": command, "data": data or {}} if flow == FLOW else data
        start = {
            "clientRequestId": f"smoke-{self._count}",
            "flowClassName": flow,
            "requestBody": body,
        }
        self.post(f"/flow/{self.nodes[name]}", json=start)
        return f"/flow/{self.nodes[name]}/smoke-{self._count}"

    def ended(self, path):
        """The status of a flow that has ended."""
        return self.polled(path, lambda s: s["flowStatus"] in ("COMPLETED", "FAILED", "KILLED"))

    def run(self, command, data=None, name=ALICE):
        """The result of a command."""
        path = self.start(name, command, data)
        status = self.ended(path)
        assert (status["flowStatus"], status["flowError"]) == ("COMPLETED", None), status
        answer = self.client.get(f"{API}{path}/result").json()["json"]
        assert answer["command"] == command
        return answer["result"]


@pytest.fixture(scope="session")
def signing_key(tmp_path_factory):
    return make_key(tmp_path_factory.mktemp("key"), "me")


@pytest.fixture(scope="session")
def built_cpi(tmp_path_factory, signing_key):
    """Builds a CorDapp's folder into the bytes of a signed CPI of a version."""
    policy = generate_static_policy(
        names=[ALICE, BOB, CHARLIE],
        group_id=None,
        endpoint_url="https://localhost:1080",
        endpoint_protocol=1,
    )
    sandbox = Sandbox(cache_dir=default_cache_dir())

    def build(project, version):
        folder = tmp_path_factory.mktemp("built")
        built = build_cordapp(project, (signing_key,), folder, sandbox, lambda _step: None)
        return build_cpi(
            name="smoke",
            version=version,
            cpb=("smoke.cpb", built.cpb.path.read_bytes()),
            group_policy=policy,
            keys=(signing_key,),
        )

    return build


@pytest.fixture(scope="session")
def cluster(tmp_path_factory, built_cpi, signing_key):
    data_dir = tmp_path_factory.mktemp("cluster") / "data"
    settings = {"cache_dir": default_cache_dir(), "flow_workers": 2}
    with (
        running_host(data_dir, password=PASSWORD, **settings) as host,
        TestClient(host.asgi) as client,
    ):
        client.auth = ("admin", PASSWORD)
        cluster = Cluster(client)
        cluster.trust(signing_key.certificate_chain[0].public_bytes(Encoding.PEM))
        checksum = cluster.upload(built_cpi(SMOKE, "1.0.0"))
        (cluster.cpi,) = client.get(f"{API}/cpi").json()["cpis"]
        for name in (ALICE, BOB, CHARLIE):
            cluster.create_member(checksum, name)
        yield cluster
