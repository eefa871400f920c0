"""What a failing guest's tenant is told: its own file and line, and nothing of the host."""

import io
import json
import re
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.testclient import TestClient

from cpi.package.build import build_cpi
from cpi.package.group_policy_generation import generate_static_policy
from host.domain.errors import StorageError
from host.nodes.audit_log.node_log import LOG_NAME
from host.nodes.audit_log.verification import read_entries, verify_log
from host.tools.cache import default_cache_dir
from host.tools.cordapps.build import build_cordapp
from sandbox.runtime import Sandbox
from tests.support.hosts import polled, running_host
from tests.support.keystores import make_key

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
HOSTILE = ROOT / "sample_cordapps" / "hostile"
ALICE = "O=Alice, L=London, C=GB"
API = "/api/v5_2"

FLOWS = '''
from dataclasses import dataclass
from cordapp.flows import ClientStartableFlow


@dataclass(frozen=True)
class Nothing:
    pass


def deeper(flow):
    raise ValueError("the amount is wrong")


class Raises(ClientStartableFlow[Nothing, str]):
    """Fails in a function of its own."""

    def call(self, request_body: Nothing) -> str:
        deeper(self)
        return ""


class Divides(ClientStartableFlow[Nothing, str]):
    """Fails by itself."""

    def call(self, request_body: Nothing) -> str:
        return str(1 // 0)


class Named(ClientStartableFlow[Nothing, str]):
    """Raises an error whose text tries to steer a terminal."""

    def call(self, request_body: Nothing) -> str:
        raise RuntimeError("\\x1b[2J\\rroot logged in")


class Chained(ClientStartableFlow[Nothing, str]):
    """Hides one error behind another."""

    def call(self, request_body: Nothing) -> str:
        try:
            return str({}["missing"])
        except KeyError as missing:
            raise LookupError("no such thing") from missing


class Unprintable(ClientStartableFlow[Nothing, str]):
    """Raises an error that cannot be told."""

    def call(self, request_body: Nothing) -> str:
        class Mute(Exception):
            def __str__(self):
                raise RuntimeError("mute")
        raise Mute


class Tracebacks(ClientStartableFlow[Nothing, str]):
    """Tells the traceback that it sees itself."""

    def call(self, request_body: Nothing) -> str:
        import traceback
        try:
            deeper(self)
        except ValueError:
            raise RuntimeError(traceback.format_exc()) from None
        return ""


class Steals(ClientStartableFlow[Nothing, str]):
    """Asks the platform for what does not exist."""

    def call(self, request_body: Nothing) -> str:
        return str(self.flow_messaging.initiate_flow("O=Nobody, L=London, C=GB"))
'''


def place_of(text, function):
    """Where in the CorDapp the line with `text` stands, as REST should tell it."""
    lines = FLOWS.lstrip("\n").splitlines()
    (number,) = [n for n, line in enumerate(lines, start=1) if text in line]
    return f"(at failing.py:{number} {function})"


PLACES = {
    "Raises": place_of("the amount is wrong", "deeper"),
    "Divides": place_of("1 // 0", "call"),
    "Chained": place_of("no such thing", "call"),
}

LEAKS = re.compile(
    r"/work/|/tmp/|/root|/home/|/usr/|/proc/|\.venv|site-packages|sandbox/|host/|wasmtime"
    r"|cranelift|0x[0-9a-f]{4,}|wasm trap|wasm backtrace|<unknown>|componentize|sqlite|"
    r"vnodes|\.cwasm|Traceback \(most recent call last\):\s+File \"/"
)
"""Paths, addresses, engine internals and host modules: none may reach a tenant."""


def project(folder):
    (folder / "workflows").mkdir(parents=True)
    (folder / "workflows" / "failing.py").write_text(FLOWS.lstrip("\n"))
    (folder / "cordapp.toml").write_text(
        '[cordapp]\nname = "failing"\nversion = "1.0.0"\nvendor = "Tests"\n'
        'licence = "Apache-2.0"\n\n[workflow]\nname = "tests.failing"\nsource = "workflows"\n'
        'modules = ["failing"]\nversion = 1\ncapabilities = ["sessions"]\n'
    )
    return folder


def cpi_of(folder, name, target, key):
    sandbox = Sandbox(cache_dir=default_cache_dir())
    built = build_cordapp(folder, (key,), target, sandbox, lambda _step: None)
    policy = generate_static_policy(
        names=[ALICE],
        group_id=None,
        endpoint_url="https://localhost:1080",
        endpoint_protocol=1,
    )
    cpb = (built.cpb.path.name, built.cpb.path.read_bytes())
    return build_cpi(name=name, version="1.0.0", cpb=cpb, group_policy=policy, keys=(key,))


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return make_key(tmp_path_factory.mktemp("key"), "a")


def has_ended(status):
    return status["flowStatus"] in {"COMPLETED", "FAILED", "KILLED"}


class Tenant:
    """A virtual node on a composed host, seen through REST."""

    def __init__(self, client, cpi, data_dir):
        self.client = client
        self.data_dir = data_dir
        upload = client.post(f"{API}/cpi", files={"upload": ("a.cpi", io.BytesIO(cpi))}).json()[
            "id"
        ]
        status = self.poll(f"/cpi/status/{upload}", lambda s: s.get("status") == "OK")
        body = {"cpiFileChecksum": status["cpiFileChecksum"], "x500Name": ALICE}
        asked = client.post(f"{API}/virtualnode", json={"request": body}).json()["requestId"]
        made = self.poll(f"/virtualnode/status/{asked}", lambda s: s["status"] == "SUCCEEDED")
        self.node = made["resourceId"]

    def poll(self, path, until):
        return polled(self.client, API + path, until)

    def run(self, flow, request, body=None):
        start = {"clientRequestId": request, "flowClassName": flow, "requestBody": body or {}}
        reply = self.client.post(f"{API}/flow/{self.node}", json={"startFlow": start})
        assert reply.status_code == 202, reply.text
        return self.poll(f"/flow/{self.node}/{request}", has_ended)

    def startable(self):
        return self.client.get(f"{API}/flowclass/{self.node}").json()["flowClassNames"]


@pytest.fixture(scope="module")
def tenant_of(tmp_path_factory, key):
    """Makes a tenant of the CorDapp in a folder."""

    with ExitStack() as stack:

        def make(folder, name):
            data_dir = tmp_path_factory.mktemp(name) / "data"
            cpi = cpi_of(folder, name, tmp_path_factory.mktemp("built"), key)
            host = stack.enter_context(
                running_host(
                    data_dir,
                    password="p",
                    cache_dir=default_cache_dir(),
                    flow_workers=1,
                    quota_wall_ms_max=20_000,
                    flow_processing_max_retry_attempts=0,
                )
            )
            client = stack.enter_context(TestClient(host.asgi))
            client.auth = ("admin", "p")

            pem = key.certificate_chain[0].public_bytes(Encoding.PEM)
            client.put(
                f"{API}/certificate/cluster/code-signer",
                data={"alias": "a"},
                files={"certificate": ("c.pem", pem)},
            )
            return Tenant(client, cpi, data_dir)

        yield make


@pytest.fixture(scope="module")
def failing(tenant_of, tmp_path_factory):
    return tenant_of(project(tmp_path_factory.mktemp("failing") / "p"), "failing")


def test_a_failure_tells_what_it_came_from(failing):
    error = failing.run("failing.Chained", "r-came-from")["flowError"]
    behind = place_of('{}["missing"]', "call")
    assert error["message"].endswith(f"; caused by KeyError: 'missing' {behind}")


@pytest.mark.parametrize("name", ["Raises", "Divides", "Named", "Chained", "Unprintable", "Steals"])
def test_a_failure_names_the_cordapps_file_and_line_and_nothing_of_the_host(failing, name):
    status = failing.run(f"failing.{name}", f"r-{name}")
    assert status["flowStatus"] == "FAILED"
    error = status["flowError"]
    assert error["type"] == "FLOW_FAILED"
    assert re.search(r"\(at failing\.py:[0-9]+ \w+\)$", error["message"]), error
    assert PLACES.get(name, "(at failing.py:") in error["message"]
    assert LEAKS.search(json.dumps(status)) is None, status


def test_a_traceback_that_a_guest_prints_of_itself_knows_nothing_of_the_host(failing):
    status = failing.run("failing.Tracebacks", "r-tracebacks")
    assert status["flowStatus"] == "FAILED"
    assert LEAKS.search(json.dumps(status)) is None, status


@pytest.fixture(scope="module")
def hostile(tenant_of):
    return tenant_of(HOSTILE, "hostile")


def test_nothing_that_a_hostile_cordapp_does_tells_it_of_the_host(hostile):
    """Every attack of the sample, whatever stops it: limits, traps, grants, its own errors."""
    told = {}
    for number, flow in enumerate(hostile.startable()):
        body = {"member": ALICE, "name": ALICE, "session": "none", "id": "none", "ref": "none"}
        fields = {} if "steal" not in flow or "CallU" in flow else body
        reply = hostile.client.post(
            f"{API}/flow/{hostile.node}",
            json={
                "startFlow": {
                    "clientRequestId": f"h{number}",
                    "flowClassName": flow,
                    "requestBody": fields,
                }
            },
        )
        if reply.status_code != 202:
            assert LEAKS.search(reply.text) is None
            continue
        told[flow] = hostile.poll(f"/flow/{hostile.node}/h{number}", has_ended)
    assert len(told) >= 25
    codes = {s["flowError"]["type"] for s in told.values() if s["flowError"]}
    assert codes >= {"FLOW_FAILED", "out-of-fuel", "capability-not-granted", "log-limit"}
    for flow, status in told.items():
        found = LEAKS.search(json.dumps(status["flowError"]))
        assert found is None, (flow, status["flowError"])


def test_what_was_hit_and_denied_is_visible(hostile):
    flows = [f for f in hostile.startable() if f.endswith((".LogFlood", ".CallUngranted"))]
    for flow in flows:
        hostile.run(flow, f"again-{flow}")
    usage = hostile.client.get(f"{API}/virtualnode/{hostile.node}/usage").json()
    assert usage["hits"]["log-limit"]["count"] >= 1
    assert usage["fuel"] > 0
    log = hostile.data_dir / "vnodes" / hostile.node / LOG_NAME
    key = (hostile.data_dir / "secrets" / "audit-key").read_bytes()
    assert verify_log(log, key=key, node=hostile.node).problem is None
    assert "capability-not-granted" in {e.get("outcome") for e in read_entries(log)}


def test_a_quota_of_the_node_stops_its_flow(failing):
    path = f"{API}/virtualnode/{failing.node}/quota"
    assert failing.client.put(path, json={"overrides": {"fuelMax": 1000}}).status_code == 200
    error = failing.run("failing.Raises", "little-fuel")["flowError"]
    assert failing.client.put(path, json={"overrides": {}}).status_code == 200
    assert error == {
        "type": "out-of-fuel",
        "code": "out-of-fuel",
        "message": "the guest used all of its fuel",
    }
    usage = failing.client.get(f"{API}/virtualnode/{failing.node}/usage").json()
    assert usage["hits"]["out-of-fuel"]["count"] == 1


def test_a_refusal_with_a_path_shows_the_files_name_only():
    error = StorageError("/data/x/vault.sqlite is damaged", path="/data/x/vault.sqlite")
    assert error.public_message == "vault.sqlite is damaged"
    assert StorageError("no path").public_message == "no path"
