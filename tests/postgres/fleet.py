"""Hosts on one database, and flows whose results tell whether anything was lost, repeated or out of order."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cpi.package.group_policy_generation import generate_static_policy
from plugins.postgres.connections import Session
from tests.network.two_hosts import Packages
from tests.postgres.wire import Wire, wire_to
from tests.support.killable_host import ALICE, BOB, KillableHost
from tests.support.postgres import Cluster, PostgresServer

STREAMS = Path(__file__).with_name("streams")
_SECONDS_MAX = 300


@dataclass
class Fleet:
    """Hosts of one cluster, all behind one wire, started when they are wanted; a network of Alice and Bob.

    Attributes:
        wire: between the hosts and their database.
        more: further variables of the hosts.
        hosts: those that run.
        checksum: of the CPI of `streams`.
    """

    folder: Path
    cluster: Cluster
    wire: Wire | None
    stack: ExitStack
    workers: str
    more: Mapping[str, str] = field(default_factory=dict)
    hosts: list[KillableHost] = field(default_factory=list)
    checksum: str = ""

    def first(self, number: int) -> Sequence[KillableHost]:
        """So many hosts, started unless they run."""
        while len(self.hosts) < number:
            self.start()
        return self.hosts[:number]

    def start(self) -> KillableHost:
        """One more host."""
        name = f"host-{len(self.hosts)}"
        folder = self.folder / name
        folder.mkdir()
        environment = {**self.environment, "CORDBOX_HOST_NAME": name}
        host = KillableHost(folder, ("--workers", self.workers), environment=environment)
        host.start()
        self.stack.callback(host.kill)
        if self.hosts:
            host.nodes = self.hosts[0].nodes
        self.hosts.append(host)
        if len(self.hosts) == 1:
            self.checksum = join(host, Packages(self.folder))
        return host

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables of hosts, whose database is behind the wire."""
        found = {**self.cluster.environment, **self.more}
        if self.wire is None:
            return found
        before = self.cluster.settings.database_url or ""
        host, _, name = before.rpartition("/")
        found["CORDBOX_DATABASE_URL"] = f"{host.rpartition(':')[0]}:{self.wire.port}/{name}"
        return found


def opened_fleet(
    server: PostgresServer,
    folder: Path,
    stack: ExitStack,
    *,
    workers: str = "flow=1,rest=1",
    is_wired: bool = True,
    more: Mapping[str, str] | None = None,
) -> Fleet:
    """A fleet without hosts, on a database of its own; behind a wire unless its time is measured."""
    cluster = server.new_cluster(folder)
    wire = stack.enter_context(wire_to(server.port)) if is_wired else None
    return Fleet(
        folder=folder, cluster=cluster, wire=wire, stack=stack, workers=workers, more=more or {}
    )


def join(host: KillableHost, packages: Packages) -> str:
    """Make a static network of Alice and Bob; the checksum of their CPI."""
    policy = generate_static_policy(
        names=[ALICE, BOB],
        group_id=None,
        endpoint_url="https://localhost:1080",
        endpoint_protocol=1,
    )
    certificate = {"certificate": packages.certificate}
    host.ask("PUT", "/certificate/cluster/code-signer", data={"alias": "a"}, files=certificate)
    cpi = packages.of_members(policy, "streams", packages.cpb(STREAMS))
    asked = host.ask("POST", "/cpi", files={"upload": ("a.cpi", cpi)}).json()["id"]
    checksum = host.until(f"/cpi/status/{asked}", lambda s: s["status"] == "OK")["cpiFileChecksum"]
    context = {"context": {"corda.key.scheme": "CORDA.ECDSA.SECP256R1"}}
    for name in (ALICE, BOB):
        host.nodes[name] = node = made(host, ask_for_node(host, checksum, name))
        assert host.ask("POST", f"/membership/{node}", json=context).is_success
        host.until(f"/membership/{node}", lambda found: "APPROVED" in str(found))
    return str(checksum)


def ask_for_node(host: KillableHost, checksum: str, name: str) -> str:
    """Request a virtual node; the request's id."""
    reply = host.ask("POST", "/virtualnode", json={"cpiFileChecksum": checksum, "x500Name": name})
    assert reply.is_success, reply.text
    return str(reply.json()["requestId"])


def made(host: KillableHost, request: str) -> str:
    """The short hash of a node that was requested, once it is there."""
    found = host.until(f"/virtualnode/status/{request}", lambda s: s["status"] == "SUCCEEDED")
    return str(found["resourceId"])


def start(host: KillableHost, request: str, flow: str, **body: object) -> None:
    """Start a flow of Alice's."""
    reply = host.flow(ALICE, request, f"stream_flows.{flow}", body)
    assert reply.status_code == 202, reply.text


def ended(host: KillableHost, request: str, seconds_max: int = _SECONDS_MAX) -> Any:
    """The result of a flow of Alice's, which has completed."""
    found = host.result(ALICE, request, seconds_max)
    assert found["flowStatus"] == "COMPLETED", found
    return json.loads(found["flowResult"])


def flow_pids(host: KillableHost) -> list[int]:
    """A host's processes that run flows."""
    return [pid for pid, name in host._workers().items() if name.startswith("flow")]


def until(session: Session, question: str, **values: object) -> None:
    """Ask the database until the answer is true."""
    deadline = time.monotonic() + _SECONDS_MAX
    while not session.run(question, **values)[0][0]:
        assert time.monotonic() < deadline, question
        time.sleep(0.02)


def nothing_is_left(session: Session) -> None:
    """No record waits or is on its way, none is set aside or dead, no flow is open."""
    until(session, "SELECT count(*) = 0 FROM outbox")
    until(session, "SELECT count(*) = 0 FROM work")
    ((dead,),) = session.run("SELECT count(*) FROM records WHERE topic = 'flow.event.dlq'")
    assert dead == 0
    running = session.run(
        "SELECT request, status FROM flow_glance WHERE status NOT IN ('COMPLETED', 'KILLED')"
    )
    assert not running, running
