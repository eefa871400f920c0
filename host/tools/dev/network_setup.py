"""Sets up a static network on a running host: trusts the signer, uploads the CPI, creates nodes."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from host.domain.errors import UnavailableError
from host.tools.host_client import HostClient, HostRefusedError

ALIAS = "cordbox-dev"
_SECONDS_MAX = 120.0
_POLL_SECONDS = 0.1
_REGISTRATION = {"corda.key.scheme": "CORDA.ECDSA.SECP256R1"}
_DONE = frozenset({"SUCCEEDED", "OK"})
_FAILED = frozenset({"VALIDATION_FAILED", "UPLOAD_VALIDATION_FAILED", "ABORTED", "FAILED"})
"""Of operations on virtual nodes; an upload fails by an error of HTTP."""


def trust_signer(client: HostClient, certificate: bytes) -> None:
    """Make the host accept code of the signer; idempotent."""
    files = {"certificate": ("signer.pem", certificate)}
    client.upload("PUT", "/certificate/cluster/code-signer", files, {"alias": ALIAS})


def upload_cpi(
    client: HostClient,
    cpi: bytes,
    file_name: str,
    *,
    force: bool,
    progress: Callable[[str], None] = lambda _stage: None,
) -> str:
    """Upload a CPI and wait until it is stored.

    Args:
        client: of the host.
        cpi: the file.
        file_name: its name.
        force: replace the stored CPI of the same name and version.
        progress: is called with each stage of the upload that is seen.

    Returns:
        The short checksum.

    Raises:
        HostRefusedError: the host refuses it.
        HostConflictError: it is stored, and `force` is not set.
    """
    path = "/maintenance/virtualnode/forcecpiupload" if force else "/cpi"
    request_id = client.upload("POST", path, {"upload": (file_name, cpi)})["id"]
    done = _until_done(client, f"/cpi/status/{request_id}", progress)
    return str(done["cpiFileChecksum"])


def nodes_by_name(client: HostClient, group_id: str) -> dict[str, str]:
    """X.500 name to short hash of the virtual nodes of a group."""
    nodes = client.items("/virtualnode", "virtualNodes")
    holdings = [node["holdingIdentity"] for node in nodes]
    return {h["x500Name"]: h["shortHash"] for h in holdings if h["groupId"] == group_id}


def make_nodes(
    client: HostClient,
    checksum: str,
    names: Sequence[str],
    existing: Mapping[str, str],
    tell: Callable[[str], None],
    *,
    context: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Create and register the missing virtual nodes; returns all nodes by name.

    Args:
        client: of the host.
        checksum: short, of the CPI.
        names: of the nodes.
        existing: nodes by name.
        tell: called with a line for each node that is made.
        context: entries of the registration beside the key scheme.
    """
    nodes = dict(existing)
    for name in names:
        if name in nodes:
            continue
        body = {"request": {"cpiFileChecksum": checksum, "x500Name": name}}
        request_id = client.post("/virtualnode", body)["requestId"]
        status = _until_done(client, f"/virtualnode/status/{request_id}")
        nodes[name] = str(status["resourceId"])
        _register(client, nodes[name], context or {})
        tell(f"virtual node {nodes[name]} for {name}")
    return nodes


def _register(client: HostClient, node: str, context: Mapping[str, str]) -> None:
    request = {"context": {**_REGISTRATION, **context}}
    reply = client.post(f"/membership/{node}", request)
    if reply.get("registrationStatus") != "SUBMITTED":
        raise HostRefusedError(f"virtual node {node} was not registered: {reply.get('reason')}")
    path = f"/membership/{node}/{reply['registrationId']}"
    deadline = time.monotonic() + _SECONDS_MAX
    while time.monotonic() < deadline:
        status = client.get(path)["registrationStatus"]
        if status == "APPROVED":
            return
        if status in {"DECLINED", "INVALID", "FAILED"}:
            raise HostRefusedError(f"the registration of virtual node {node} is {status}")
        time.sleep(_POLL_SECONDS)
    raise UnavailableError(f"the registration of virtual node {node} takes too long")


def _until_done(
    client: HostClient, path: str, progress: Callable[[str], None] = lambda _stage: None
) -> dict[str, Any]:
    """Poll an operation of the host until it has succeeded; each new stage is shown.

    Raises:
        HostRefusedError: it failed.
        UnavailableError: it does not end in time.
    """
    deadline = time.monotonic() + _SECONDS_MAX
    shown = ""
    while time.monotonic() < deadline:
        status: dict[str, Any] = client.get(path)
        if status["status"] in _DONE:
            return status
        if status["status"] in _FAILED:
            reason = status.get("errorReason") or status.get("reason") or status["status"]
            raise HostRefusedError(f"{path}: {reason}")
        if status["status"] != shown:
            shown = str(status["status"])
            progress(shown)
        time.sleep(_POLL_SECONDS)
    raise UnavailableError(f"{path} takes too long")
