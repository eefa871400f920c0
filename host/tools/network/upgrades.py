"""Upgrades of virtual nodes on a running host, and their reports as text."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cpi.package.group_policy import parse_group_policy
from host.domain.errors import UnavailableError
from host.domain.printable import printable
from host.tools.client.answers import shaped
from host.tools.client.host_client import HostClient, HostRefusedError
from host.tools.network import operations
from host.tools.network.answer_shapes import Requested, Upgrade

_POLL_SECONDS = 0.2


def rehearse(client: HostClient, node: str, cpi: str) -> str:
    """Ask for a rehearsal; returns its request id."""
    path = f"/virtualnode/{node}/cpi/{cpi}/check"
    return shaped(client.post(path, {}), Requested, path)["requestId"]


def upgrade(client: HostClient, node: str, cpi: str, *, flows: str, diverging: str) -> str:
    """Ask for an upgrade; returns its request id."""
    path = f"/virtualnode/{node}/cpi/{cpi}"
    found = client.put(path, None, flows=flows, diverging=diverging)
    return shaped(found, Requested, path)["requestId"]


def of_other_versions(client: HostClient, target: str) -> Iterator[str]:
    """The nodes of a host that run another version of a CPI, by name, signers and group."""
    stored = {each["cpiFileChecksum"]: each for each in operations.cpis(client)}
    wanted = stored[target]["id"]
    group = parse_group_policy(stored[target]["groupPolicy"] or "{}").group_id
    for node in operations.nodes(client):
        own = node["cpiIdentifier"]
        is_of_it = (own["cpiName"], own["signerSummaryHash"]) == (
            wanted["cpiName"],
            wanted["signerSummaryHash"],
        )
        is_other = own["cpiVersion"] != wanted["cpiVersion"]
        if is_of_it and is_other and node["holdingIdentity"]["groupId"] == group:
            yield node["holdingIdentity"]["shortHash"]


def until_upgraded(
    client: HostClient,
    request: str,
    *,
    seconds: float,
    progress: Callable[[str], None] = lambda _stage: None,
) -> Upgrade:
    """Wait until an upgrade or a rehearsal has succeeded; each new stage is shown.

    Raises:
        HostRefusedError: it failed; the node is as it was.
        UnavailableError: it has not ended in time; the host goes on with it.
    """
    path = f"/virtualnode/upgrade/{request}"
    deadline, shown = time.monotonic() + seconds, ""
    while time.monotonic() < deadline:
        found = shaped(client.get(path), Upgrade, path)
        if found["status"] == "SUCCEEDED":
            return found
        if found["status"] in ("FAILED", "ABORTED"):
            raise HostRefusedError(found.get("errorReason") or found["status"])
        stage = found.get("processingStage") or ""
        if stage != shown:
            shown = stage
            progress(stage)
        time.sleep(_POLL_SECONDS)
    raise UnavailableError(f"upgrade {request} takes long; the host goes on with it")


def report_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """A report as lines."""
    yield f"from {printable(report['from'])} to {printable(report['to'])}"
    flows = report["flows"]
    same = sum(flow["verdict"] == "same" for flow in flows)
    yield f"open flows: {len(flows)}, {same} of them would go on with the new code"
    for flow in flows:
        if flow["verdict"] != "same":
            yield from _flow_lines(flow)
    for entity in report["entities"]:
        yield f"entities {entity['type']}: {entity['change']}{_count(entity)}{_reason(entity)}"
    for state in report["states"]:
        yield (
            f"states {state['type']}: {state['states']} unconsumed, {state['refused']} of"
            f" {state['judged']} transactions refused{_reason(state)}"
        )
    for name, words in (
        ("protocolsDropped", "protocols without a flow"),
        ("capabilitiesAdded", "capabilities added"),
        ("contractsDropped", "contract CPKs without a version"),
    ):
        if report[name]:
            yield f"{words}: {printable(', '.join(report[name]))}"


def _flow_lines(flow: Mapping[str, Any]) -> Iterator[str]:
    yield f"  {flow['requestId']}  {flow['flowClass']}  {flow['verdict']}"
    if "expected" in flow:
        place = f" ({flow['file']}:{flow['line']})" if "file" in flow else ""
        yield (
            f"    step {flow['step']}: recorded {printable(flow['expected'])}, found"
            f" {printable(flow['found'])}{place}"
        )
    elif "found" in flow:
        yield f"    {printable(flow['found'])}"


def _count(entity: Mapping[str, Any]) -> str:
    return f" ({entity['entities']})" if entity["entities"] else ""


def _reason(item: Mapping[str, Any]) -> str:
    return f": {printable(item['reason'])}" if "reason" in item else ""
