"""Steps 4 and 5: the host, and a static network of virtual nodes on it, over REST."""

from pathlib import Path
from typing import Any

from sample_cordapps.demo.console import DemoConsole, StepFailedError
from sample_cordapps.demo.packages import MEMBERS, NOTARY, SERVICE, Workshop
from sample_cordapps.demo.processes import HostProcess
from sample_cordapps.demo.rest import RestClient

_KEY_SCHEME = "CORDA.ECDSA.SECP256R1"
_NOTARY_CONTEXT = {
    "corda.roles.0": "notary",
    "corda.notary.service.name": SERVICE,
    "corda.notary.service.flow.protocol.name": "com.r3.corda.notary.plugin.nonvalidating",
    "corda.notary.service.flow.protocol.version.0": "1",
    "corda.notary.service.backchain.required": "true",
}


def start_host(console: DemoConsole, host: HostProcess) -> dict[str, str]:
    with console.step("Start the host") as record:
        ready = host.start()
        record.facts |= ready
        return ready


def form_network(console: DemoConsole, rest: RestClient, workshop: Workshop) -> dict[str, str]:
    """Upload the CPIs, create and register notary and members; returns members' short hashes."""
    title = "Over REST: trust the signer, upload the CPIs, make a notary and three nodes"
    with console.step(title) as record:
        trust_signer(rest, workshop.certificate)
        notary = create_node(rest, upload(rest, workshop.cpi("notary")), NOTARY)
        register(rest, notary, _NOTARY_CONTEXT)
        checksum = upload(rest, workshop.cpi("iou"))
        nodes = {name: create_node(rest, checksum, name) for name in MEMBERS}
        for node in nodes.values():
            register(rest, node)
        for node in nodes.values():
            _expect_members(rest, node)
        record.facts |= {"cpiFileChecksum": checksum, "virtualNodes": nodes, "notary": notary}
        return nodes


def trust_signer(rest: RestClient, certificate: Path) -> None:
    rest.upload(
        "PUT",
        "/certificate/cluster/code-signer",
        files={"certificate": certificate},
        fields={"alias": "demo-signer"},
        expect=204,
    )


def upload(rest: RestClient, cpi: Path) -> str:
    """Upload a CPI and poll until it is stored; returns its short checksum."""
    answer = rest.upload("POST", "/cpi", files={"upload": cpi}, fields={}, expect=200)
    status = rest.poll(
        f"/cpi/status/{answer['id']}",
        lambda s: s.get("status") == "OK" or "title" in s,
        what="the CPI upload",
    )
    if status.get("status") != "OK":
        raise StepFailedError(f"the upload was refused: {status}")
    return str(status["cpiFileChecksum"])


def create_node(rest: RestClient, checksum: str, x500_name: str) -> str:
    """Create a virtual node and poll until it is there; returns its short hash."""
    body = {"request": {"cpiFileChecksum": checksum, "x500Name": x500_name}}
    answer = rest.post("/virtualnode", body, expect=202)
    status = rest.poll(
        f"/virtualnode/status/{answer['requestId']}",
        lambda s: s.get("status") in ("SUCCEEDED", "FAILED", "ABORTED"),
        what="the virtual node",
    )
    if status["status"] != "SUCCEEDED":
        raise StepFailedError(f"the virtual node was not created: {status}")
    return str(status["resourceId"])


def join(rest: RestClient, cpi: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Upload a CPI, and make and register nodes that run it; returns short hashes by name."""
    checksum = upload(rest, cpi)
    nodes = {name: create_node(rest, checksum, name) for name in names}
    for node in nodes.values():
        register(rest, node)
    return nodes


def register(rest: RestClient, node: str, more: dict[str, str] | None = None) -> None:
    """Register a member of the static network and poll until it is approved."""
    context = {"corda.key.scheme": _KEY_SCHEME, **(more or {})}
    answer = rest.post(f"/membership/{node}", {"memberRegistrationRequest": {"context": context}})
    rest.poll(
        f"/membership/{node}/{answer['registrationId']}",
        lambda s: s.get("registrationStatus") == "APPROVED",
        what="the registration",
    )


def _expect_members(rest: RestClient, node: str) -> None:
    answer: dict[str, Any] = rest.get(f"/members/{node}")
    names = sorted(m["memberContext"]["corda.name"] for m in answer["members"])
    expected = sorted((*MEMBERS, NOTARY))
    if names != expected:
        raise StepFailedError(f"node {node} sees {names}, expected {expected}")
