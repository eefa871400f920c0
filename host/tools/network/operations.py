"""Operations of a running host that take time: each is asked for, then polled until it ends."""

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from cryptography.hazmat.primitives.serialization import Encoding

from cpi.crypto.keys import SigningKey
from cpi.package.files import read_limited
from host.domain.errors import UnavailableError
from host.tools.client.answers import shaped
from host.tools.client.cluster_facts import ClusterAnswerError
from host.tools.client.host_client import HostClient, HostRefusedError
from host.tools.network.answer_shapes import (
    Cpi,
    Node,
    OperationStatus,
    Progress,
    Requested,
    Uploaded,
)

APPROVED = "APPROVED"
_REFUSED = frozenset({"DECLINED", "INVALID", "FAILED"})
_SECONDS_MAX = 120.0
_POLL_SECONDS = 0.1
_SIGNER_ALIAS = "code-signer"
_DONE = frozenset({"SUCCEEDED", "OK"})
_FAILED = frozenset({"VALIDATION_FAILED", "UPLOAD_VALIDATION_FAILED", "ABORTED", "FAILED"})
"""Of operations on virtual nodes; an upload fails by an error of HTTP."""


def trust_signer(client: HostClient, certificate: bytes, *, alias: str) -> None:
    """Make the host accept code of the signer; idempotent."""
    files = {"certificate": ("signer.pem", certificate)}
    client.upload("PUT", "/certificate/cluster/code-signer", files, {"alias": alias})


def trust(client: HostClient, key: SigningKey, *, alias: str) -> None:
    """Make the host accept code that a key signs; idempotent."""
    trust_signer(client, key.certificate_chain[0].public_bytes(Encoding.PEM), alias=alias)


def trust_files(client: HostClient, certificates: Iterable[Path]) -> None:
    """Make the host accept code of the signers whose certificates are in files; idempotent."""
    for file in certificates:
        data = read_limited(file)
        alias = f"{_SIGNER_ALIAS}-{hashlib.sha256(data).hexdigest()[:12]}"
        trust_signer(client, data, alias=alias)


def upload_missing(
    client: HostClient,
    cpi: bytes,
    file_name: str,
    *,
    progress: Callable[[str], None] = lambda _stage: None,
) -> str:
    """Upload a CPI unless the host has it; the arguments and errors are those of `upload_cpi`."""
    digest = hashlib.sha256(cpi).hexdigest()
    for each in cpis(client):
        if each["cpiFileFullChecksum"].lower() == digest:
            return each["cpiFileChecksum"]
    return upload_cpi(client, cpi, file_name, force=False, progress=progress)


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
    asked = shaped(client.upload("POST", path, {"upload": (file_name, cpi)}), Uploaded, path)
    place = f"/cpi/status/{_part(asked['id'])}"
    done = _until_done(client, place, progress)
    return _given(done.get("cpiFileChecksum"), place)


def cpis(client: HostClient) -> list[Cpi]:
    """The CPIs of a host."""
    return [shaped(each, Cpi, "/cpi") for each in client.items("/cpi", "cpis")]


def nodes(client: HostClient) -> list[Node]:
    """The virtual nodes of a host."""
    path = "/virtualnode"
    return [shaped(each, Node, path) for each in client.items(path, "virtualNodes")]


def nodes_by_name(client: HostClient, group_id: str) -> dict[str, str]:
    """X.500 name to short hash of the virtual nodes of a group."""
    holdings = [node["holdingIdentity"] for node in nodes(client)]
    return {h["x500Name"]: h["shortHash"] for h in holdings if h["groupId"] == group_id}


def create_node(client: HostClient, checksum: str, name: str) -> str:
    """Make a virtual node of a CPI; returns its short hash.

    Raises:
        HostRefusedError, HostConflictError: the host refuses it.
    """
    body = {"request": {"cpiFileChecksum": checksum, "x500Name": name}}
    asked = shaped(client.post("/virtualnode", body), Requested, "/virtualnode")
    place = f"/virtualnode/status/{_part(asked['requestId'])}"
    return _given(_until_done(client, place).get("resourceId"), place)


def register(client: HostClient, node: str, context: Mapping[str, str]) -> str:
    """Ask for the registration of a virtual node; returns the id of the request.

    Raises:
        HostRefusedError: its own host refuses the context.
    """
    path = f"/membership/{node}"
    reply = shaped(client.post(path, {"context": dict(context)}), Progress, path)
    if reply["registrationStatus"] != "SUBMITTED":
        raise HostRefusedError(f"virtual node {node} was not registered: {reply.get('reason')}")
    return reply["registrationId"]


def registrations(client: HostClient, node: str) -> list[Progress]:
    """The registrations of a virtual node, the latest first."""
    path = f"/membership/{node}"
    return shaped(client.get(path), list[Progress], path)


def until_approved(
    client: HostClient, node: str, registration_id: str, *, seconds: float = _SECONDS_MAX
) -> None:
    """Wait until a registration is approved.

    Raises:
        HostRefusedError: it is refused.
        UnavailableError: nobody decides in time; the registration stays open.
    """
    path = f"/membership/{node}/{_part(registration_id)}"
    deadline = time.monotonic() + seconds
    status = ""
    while time.monotonic() < deadline:
        found = shaped(client.get(path), Progress, path)
        status = found["registrationStatus"]
        if status == APPROVED:
            return
        if status in _REFUSED:
            reason = found.get("reason")
            why = f": {reason}" if reason else ""
            raise HostRefusedError(f"the registration of virtual node {node} is {status}{why}")
        time.sleep(_POLL_SECONDS)
    raise UnavailableError(
        f"the registration of virtual node {node} takes too long: it is {status}"
    )


def group_policy(client: HostClient, mgm: str) -> bytes:
    """The group policy that CPIs of an MGM's members need."""
    return client.ask("GET", f"/mgm/{mgm}/info")


def allow_client(client: HostClient, mgm: str, subject: str) -> None:
    """Let hosts with a client certificate of `subject` register at an MGM with mutual TLS."""
    client.ask("PUT", f"{client_subjects(mgm)}/{_part(subject)}")


def client_subjects(mgm: str) -> str:
    """Path of the subjects of client certificates that an MGM allows."""
    return f"/mgm/{mgm}/mutual-tls/allowed-client-certificate-subjects"


def _until_done(
    client: HostClient, path: str, progress: Callable[[str], None] = lambda _stage: None
) -> OperationStatus:
    """Poll an operation of the host until it has succeeded; each new stage is shown.

    Raises:
        HostRefusedError: it failed.
        UnavailableError: it does not end in time.
    """
    deadline = time.monotonic() + _SECONDS_MAX
    shown = ""
    while time.monotonic() < deadline:
        status = shaped(client.get(path), OperationStatus, path)
        if status["status"] in _DONE:
            return status
        if status["status"] in _FAILED:
            reason = status.get("errorReason") or status.get("reason") or status["status"]
            raise HostRefusedError(f"{path}: {reason}")
        if status["status"] != shown:
            shown = status["status"]
            progress(shown)
        time.sleep(_POLL_SECONDS)
    raise UnavailableError(f"{path} takes too long")


def _given(value: str | None, place: str) -> str:
    if value is None:
        raise ClusterAnswerError(f"{place} succeeded without a result")
    return value


def _part(text: str) -> str:
    """A text of a host as one part of a path."""
    return quote(text, safe="")
