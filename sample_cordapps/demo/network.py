"""The host, and a static network of virtual nodes on it, over REST."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from sample_cordapps.demo.console import DemoConsole, StepFailedError
from sample_cordapps.demo.packages import (
    MEMBERS,
    NOTARY,
    SERVICE,
    VERIFYING,
    VERIFYING_NOTARY,
    VERIFYING_SERVICE,
    Packages,
)
from sample_cordapps.demo.processes import HostProcess
from sample_cordapps.demo.rest import RestClient
from sample_cordapps.demo.together import together

_AT_ONCE = 3
_KEY_SCHEME = "CORDA.ECDSA.SECP256R1"


def notary_context(service: str, *, verifies: bool) -> dict[str, str]:
    """What the node of a notary says of itself when it registers."""
    protocol = "contractverifying" if verifies else "nonvalidating"
    return {
        "corda.roles.0": "notary",
        "corda.notary.service.name": service,
        "corda.notary.service.flow.protocol.name": f"com.r3.corda.notary.plugin.{protocol}",
        "corda.notary.service.flow.protocol.version.0": "1",
        "corda.notary.service.backchain.required": "false" if verifies else "true",
    }


NOTARY_CONTEXT = notary_context(SERVICE, verifies=False)


def show_host(
    console: DemoConsole, host: HostProcess, ready: Future[dict[str, str]]
) -> dict[str, str]:
    """Wait for the host, which starts since the beginning."""
    with console.step("The host, which was started first, is ready") as record:
        found = ready.result()
        host.show(found)
        record.facts |= found
        return found


def form_network(console: DemoConsole, rest: RestClient, packages: Packages) -> dict[str, str]:
    """Upload the CPIs, create and register notary and members; returns their short hashes."""
    title = "Over REST: trust the signer, upload the CPIs, make two notaries and three nodes"
    with console.step(title) as record:
        trust_signer(rest, packages.workshop.certificate)

        def put(name: str, own: DemoConsole) -> str:
            return upload(rest.on(own), packages.cpi(name))

        names = ("iou", "notary", VERIFYING)
        checksum, *servers = together(console, [partial(put, n) for n in names], at_once=3)
        cpis = dict(zip((NOTARY, VERIFYING_NOTARY), servers, strict=True))
        nodes = create_nodes(console, rest, cpis | dict.fromkeys(MEMBERS, checksum))
        # The notaries first: they change the group parameters.
        register(rest, nodes[NOTARY], NOTARY_CONTEXT)
        verifying = notary_context(VERIFYING_SERVICE, verifies=True)
        register(rest, nodes[VERIFYING_NOTARY], verifying)
        register_all(console, rest, [nodes[name] for name in MEMBERS])
        for name in MEMBERS:
            _expect_members(rest, nodes[name])
        record.facts |= {"cpiFileChecksum": checksum, "virtualNodes": nodes}
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


def create_nodes(
    console: DemoConsole, rest: RestClient, checksums: Mapping[str, str]
) -> dict[str, str]:
    """Create virtual nodes at the same time; `checksums` and the returned hashes are by name."""

    def make(name: str, own: DemoConsole) -> str:
        return create_node(rest.on(own), checksums[name], name)

    made = together(console, [partial(make, name) for name in checksums], at_once=_AT_ONCE)
    return dict(zip(checksums, made, strict=True))


def join(rest: RestClient, cpi: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Upload a CPI, and make and register nodes that run it; returns short hashes by name."""
    nodes = create_nodes(rest.console, rest, dict.fromkeys(names, upload(rest, cpi)))
    register_all(rest.console, rest, list(nodes.values()))
    return nodes


def register_all(console: DemoConsole, rest: RestClient, nodes: Sequence[str]) -> None:
    """Register members of the static network at the same time."""

    def enter(node: str, own: DemoConsole) -> None:
        register(rest.on(own), node)

    together(console, [partial(enter, node) for node in nodes], at_once=_AT_ONCE)


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
    expected = sorted((*MEMBERS, NOTARY, VERIFYING_NOTARY))
    if names != expected:
        raise StepFailedError(f"node {node} sees {names}, expected {expected}")
