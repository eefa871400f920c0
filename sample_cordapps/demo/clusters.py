"""The second part: a dynamic network over two clusters, one of which is killed on the way."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from sample_cordapps.demo.console import DemoConsole, StepFailedError
from sample_cordapps.demo.flows import FlowRunner
from sample_cordapps.demo.processes import CommandLine
from sample_cordapps.demo.rest import RestClient

_ALICE, _BOB, _TREASURY, _FRANK, _GRACE = (
    f"O={name}, L=London, C=GB" for name in ("Alice", "Bob", "Treasury", "Frank", "Grace")
)
_MGM = "O=MGM, L=London, C=GB"
_ISSUE, _LIST = "iou_flows.IssueIou", "iou_flows.ListIous"
_PAUSE_MILLIS = 2500


class _Clusters:
    """The network's command, and a client of each host."""

    def __init__(self, console: DemoConsole, folder: Path, iou: Path, signer: Path) -> None:
        self._console = console
        self._shell = CommandLine(console, Path.cwd())
        self.folder = folder
        self._code = ("--cpb", str(iou), "--code-signer", str(signer))
        self.facts: dict[str, Any] = {}
        self.nodes: dict[str, tuple[int, str]] = {}
        self.rests: list[RestClient] = []
        self.runners: list[FlowRunner] = []

    def up(self) -> None:
        """Bring up what is missing of the network."""
        text = self._shell.cordbox(
            *("network", "up", "--hosts", "2", "--members", "2", "--notary"),
            *(*self._code, "--dir", str(self.folder), "--output", "json"),
            quiet=True,
        )
        self.facts = json.loads(text)
        for node in self.facts["virtualNodes"]:
            name = str(node["x500Name"])
            self.nodes[name] = (node["host"] - 1, str(node["holdingIdentityShortHash"]))
        if not self.rests:
            self.rests = [self._client(host) for host in self.facts["hosts"]]
            self.runners = [FlowRunner(rest) for rest in self.rests]

    def join(self, host: int, name: str, cpb: Path, policy: Path) -> None:
        """Make one more member on a host (from 0), of another CorDapp."""
        at = self.facts["hosts"][host]
        self._shell.cordbox(
            *("network", "dynamic", "onboard-member", name, "--cpb-file", str(cpb), "--wait"),
            *("--group-policy-file", str(policy), "--p2p-gateway-url", at["gateway"]),
            *("--dir", str(self.folder), *self._login(host)),
            quiet=True,
        )
        found = self.rests[host].get("/virtualnode", show=False)["virtualNodes"]
        for node in (each["holdingIdentity"] for each in found):
            if node["x500Name"] == name:
                self.nodes[name] = (host, str(node["shortHash"]))

    def policy(self) -> Path:
        """The file of the network's group policy."""
        file = self.folder / "GroupPolicy.json"
        self._shell.cordbox(
            *("network", "operate", "export-group-policy", "--name", _MGM),
            *("--save", str(file), *self._login(0)),
            quiet=True,
        )
        return file

    def run(self, name: str, flow: str, body: object) -> Any:
        """Run a flow on the node of a member; returns its result."""
        host, node = self.nodes[name]
        return self.runners[host].run(node, flow, body)

    def kill(self, host: int) -> None:
        """End a host (from 0) without any warning."""
        pid = int((self.folder / f"host-{host + 1}.pid").read_text(encoding="ascii"))
        os.kill(pid, signal.SIGKILL)

    def down(self) -> None:
        for rest in self.rests:
            rest.close()
        self._shell.cordbox("network", "down", "--dir", str(self.folder))

    def _login(self, host: int) -> tuple[str, ...]:
        at = self.facts["hosts"][host]
        trust = ("--url", at["url"], "--ca-file", at["certificate"])
        return (*trust, "--password-file", self.facts["passwordFile"])

    def _client(self, host: dict[str, Any]) -> RestClient:
        return RestClient(
            self._console,
            url=host["url"],
            certificate=Path(host["certificate"]),
            password_file=Path(self.facts["passwordFile"]),
        )


def run(console: DemoConsole, folder: Path, *, iou: Path, dvp: Path, signer: Path) -> None:
    """Bring up the network, let flows run across its clusters, and end it.

    Args:
        console: shows the steps.
        folder: in which the network lives; must be new.
        iou: the CPB of its members.
        dvp: the CPB of members that join later.
        signer: the certificate that both are signed with.
    """
    clusters = _Clusters(console, folder, iou, signer)
    try:
        with console.step("A dynamic network over two clusters: MGM, notary, members") as record:
            clusters.up()
            record.facts |= clusters.facts
        _owe_across(console, clusters)
        _buy_across(console, clusters, dvp)
        _survive_kill(console, clusters)
    finally:
        clusters.down()


def _owe_across(console: DemoConsole, clusters: _Clusters) -> None:
    with console.step("An IOU from a member of one cluster to one of the other") as record:
        body = {"counterparty": _BOB, "amount": 10_000, "currency": "GBP"}
        record.facts["issued"] = clusters.run(_ALICE, _ISSUE, body)
        held = clusters.run(_BOB, _LIST, {})
        if [each["outstanding"] for each in held] != [10_000]:
            raise StepFailedError(f"Bob holds {held}")


def _buy_across(console: DemoConsole, clusters: _Clusters, dvp: Path) -> None:
    with console.step("Three members join; a bond against money across clusters") as record:
        policy = clusters.policy()
        for host, name in ((0, _TREASURY), (0, _FRANK), (1, _GRACE)):
            clusters.join(host, name, dvp, policy)
        clusters.run(_FRANK, "dvp_flows.IssueBonds", {"name": "A1", "price": "80"})
        clusters.run(_TREASURY, "dvp_flows.IssueMoneyTo", {"owner": _GRACE, "amount": "100"})
        wanted = {"seller": _FRANK, "name": "A1", "price": "80", "bank": _TREASURY}
        bought = clusters.run(_GRACE, "dvp_flows.BuyBond", wanted)
        host, frank = clusters.nodes[_FRANK]
        seen = clusters.rests[host].get(f"/ledger/{frank}/transaction/{bought['transaction_id']}")
        if seen["status"] != "V":
            raise StepFailedError(f"the seller has {seen}")
        record.facts["bought"] = bought


def _survive_kill(console: DemoConsole, clusters: _Clusters) -> None:
    with console.step("Kill one cluster between two messages; the flow completes once") as record:
        (alice_host, alice), (bob_host, bob) = clusters.nodes[_ALICE], clusters.nodes[_BOB]
        body = {"counterparty": _BOB, "amount": 777, "pause_millis": _PAUSE_MILLIS}
        runner = clusters.runners[alice_host]
        request_id = runner.start(alice, _ISSUE, body)
        clusters.runners[bob_host].wait_for_running_responder(bob)
        clusters.kill(bob_host)
        clusters.up()
        status = runner.wait(alice, request_id)
        if status["flowStatus"] != "COMPLETED":
            raise StepFailedError(f"the flow ended {status}")
        held = clusters.run(_BOB, _LIST, {})
        if [each["amount"] for each in held].count(777) != 1:
            raise StepFailedError(f"Bob holds {held}")
        record.facts["result"] = status["flowResult"]
