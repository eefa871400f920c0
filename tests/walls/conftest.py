"""Two groups on one host, each with its own CPI of a CorDapp that does what the test asks."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.testclient import TestClient

from cpi.crypto.keys import SigningKey
from cpi.package.build import build_cpi
from cpi.package.group_policy_generation import generate_static_policy
from host.tools.cache import default_cache_dir
from host.tools.cordapps.build import build_cordapp
from sandbox.runtime import Sandbox
from tests.support.hosts import AdjustableClock, polled, running_host
from tests.support.keystores import make_key

API = "/api/v5_2"
PASSWORD = "secret"
ALICE, BOB, CAROL = (f"O={name}, L=London, C=GB" for name in ("Alice", "Bob", "Carol"))
GROUPS = {
    "red": ("6b3c2d6e-1c22-4d6e-9d3c-0000000000aa", (ALICE, BOB)),
    "blue": ("6b3c2d6e-1c22-4d6e-9d3c-0000000000bb", (ALICE, CAROL)),
}
BLUE_MODULE = 'PASSPHRASE = "only blue knows"\n'
SECONDS_MAX = 60
_ENDED = ("COMPLETED", "FAILED", "KILLED")
_numbers = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a flow ended: its result (from JSON), or its error's message."""

    status: str
    result: Any
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A virtual node, and a client that may do everything on its host."""

    client: TestClient
    short_hash: str
    group_id: str
    folder: Path

    def run(self, code: str) -> Outcome:
        """Execute `code` in the node's sandbox, as its CorDapp's flow."""
        return self.outcome(self.start(code))

    def start(self, code: str) -> str:
        """Start a flow that executes `code`; returns its client request id."""
        request_id = str(next(_numbers))
        body = {
            "clientRequestId": request_id,
            "flowClassName": "probe_flows.Probe",
            "requestBody": {"code": code},
        }
        reply = self.client.post(self._path, json={"startFlow": body})
        assert reply.status_code == 202, reply.text
        return request_id

    @property
    def _path(self) -> str:
        return f"{API}/flow/{self.short_hash}"

    def is_open(self, request_id: str) -> bool:
        """Whether a flow has not ended yet."""
        status = self.client.get(f"{self._path}/{request_id}").json()
        return status["flowStatus"] not in _ENDED

    def outcome(self, request_id: str) -> Outcome:
        """How a flow has ended, as soon as it has."""
        path = f"{self._path}/{request_id}"
        found = polled(self.client, path, lambda status: status["flowStatus"] in _ENDED)
        result = found["flowResult"]
        return Outcome(
            status=found["flowStatus"],
            result=None if result is None else json.loads(result),
            error=(found["flowError"] or {}).get("message"),
        )

    def answer(self, code: str) -> Any:
        """The result of `code`, which must succeed."""
        outcome = self.run(code)
        assert outcome.status == "COMPLETED", outcome
        return outcome.result

    def refusal(self, code: str) -> str:
        """The error of `code`, which must fail."""
        outcome = self.run(code)
        assert outcome.status == "FAILED", outcome
        assert outcome.error is not None
        return outcome.error


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    client: TestClient
    data_dir: Path
    clock: AdjustableClock
    red_alice: Node
    red_bob: Node
    blue_alice: Node
    blue_carol: Node


@pytest.fixture(scope="session")
def signing_key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return make_key(tmp_path_factory.mktemp("walls-key"), "me")


def cpi_of(group: str, key: SigningKey, folder: Path) -> bytes:
    """The group's CPI; that of blue holds one more module."""
    project = folder / group
    shutil.copytree(Path(__file__).parent / "probe", project)
    if group == "blue":
        (project / "workflows" / "blue_secret.py").write_text(BLUE_MODULE)
        file = project / "cordapp.toml"
        file.write_text(
            file.read_text().replace('["probe_flows"]', '["probe_flows", "blue_secret"]')
        )
    sandbox = Sandbox(cache_dir=default_cache_dir())
    built = build_cordapp(project, (key,), folder / f"{group}-out", sandbox, lambda _step: None)
    group_id, names = GROUPS[group]
    policy = generate_static_policy(
        names=names,
        group_id=group_id,
        endpoint_url="https://localhost:1080",
        endpoint_protocol=1,
    )
    return build_cpi(
        name=f"probe-{group}",
        version="1.0.0",
        cpb=(built.cpb.path.name, built.cpb.path.read_bytes()),
        group_policy=policy,
        keys=(key,),
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, signing_key: SigningKey) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("walls")
    data_dir, clock = folder / "data", AdjustableClock()
    isolation = os.environ.get("CORDBOX_ISOLATION", "shared")
    settings = {
        "cache_dir": default_cache_dir(),
        "flow_workers": 2,
        "isolation": isolation,
        "restored_instances": os.environ.get("CORDBOX_RESTORED_INSTANCES", "true") != "false",
    }
    with (
        running_host(data_dir, password=PASSWORD, clock=clock, **settings) as host,
        TestClient(host.asgi, follow_redirects=False) as client,
    ):
        client.auth = ("admin", PASSWORD)
        pem = signing_key.certificate_chain[0].public_bytes(Encoding.PEM)
        path = f"{API}/certificate/cluster/code-signer"
        client.put(path, data={"alias": "me"}, files={"certificate": pem}).raise_for_status()
        nodes = {
            (group, name): node
            for group in GROUPS
            for name, node in members(client, data_dir, cpi_of(group, signing_key, folder), group)
        }
        yield World(
            client=client,
            data_dir=data_dir,
            clock=clock,
            red_alice=nodes["red", ALICE],
            red_bob=nodes["red", BOB],
            blue_alice=nodes["blue", ALICE],
            blue_carol=nodes["blue", CAROL],
        )


def members(
    client: TestClient, data_dir: Path, cpi: bytes, group: str
) -> Iterator[tuple[str, Node]]:
    """Upload the CPI, create the group's virtual nodes and register them."""
    group_id, names = GROUPS[group]
    upload = client.post(f"{API}/cpi", files={"upload": (f"{group}.cpi", cpi)}).json()["id"]
    stored = polled(client, f"{API}/cpi/status/{upload}", lambda s: s["status"] == "OK")
    for name in names:
        body = {"cpiFileChecksum": stored["cpiFileChecksum"], "x500Name": name}
        started = client.post(f"{API}/virtualnode", json={"request": body}).json()
        path = f"{API}/virtualnode/status/{started['requestId']}"
        node = polled(client, path, lambda s: s["status"] == "SUCCEEDED")["resourceId"]
        context = {"corda.key.scheme": "CORDA.ECDSA.SECP256R1"}
        request = {"memberRegistrationRequest": {"context": context}}
        asked = client.post(f"{API}/membership/{node}", json=request).json()
        path = f"{API}/membership/{node}/{asked['registrationId']}"
        polled(client, path, lambda s: s["registrationStatus"] == "APPROVED")
        folder = data_dir / "vnodes" / node
        yield name, Node(client=client, short_hash=node, group_id=group_id, folder=folder)
