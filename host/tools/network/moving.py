"""Moves of virtual nodes between running hosts; each step may be repeated after an interruption."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from host.domain.errors import ConflictError, UnavailableError
from host.tools.client.answers import shaped
from host.tools.client.host_client import HostClient, HostConflictError
from host.tools.network.answer_shapes import (
    ImportedSize,
    NodeLocation,
    Requested,
    TransferKey,
    TransferStatus,
)

PART_BYTES = 8 * 1024 * 1024
_POLL_SECONDS = 0.2
_SECONDS_MAX = 3600.0
_APPROVAL_SECONDS_MAX = 3600.0

Report = Callable[[str, int, int], None]
"""Called with a stage, the bytes done, and the total, which is 0 if it is not known."""


class TransferFailedError(ConflictError):
    """An export or import of a virtual node has failed on its host."""

    code = "node-transfer-failed"


def location(client: HostClient, node: str) -> NodeLocation:
    """Where a node is, by a host."""
    path = f"/maintenance/virtualnode/{node}/location"
    return shaped(client.get(path), NodeLocation, path)


def transfer_key(client: HostClient) -> str:
    """The public key to which files of nodes for a host are encrypted."""
    path = "/maintenance/transferkey"
    return shaped(client.get(path), TransferKey, path)["recipient"]


def begin_export(client: HostClient, node: str, recipient: str, identity: str | None) -> str:
    """Have a host write a node's file; returns the request's id."""
    path = f"/maintenance/virtualnode/{node}/export"
    body = {"recipient": recipient, **({} if identity is None else {"identity": identity})}
    return shaped(client.post(path, dict(body)), Requested, path)["requestId"]


def until_ended(client: HostClient, request: str, report: Report) -> TransferStatus:
    """Wait until an export or import has ended well.

    Raises:
        TransferFailedError: it failed.
        UnavailableError: it takes more than an hour.
    """
    path = f"/maintenance/transfer/{request}"
    deadline = time.monotonic() + _SECONDS_MAX
    while time.monotonic() < deadline:
        found = shaped(client.get(path), TransferStatus, path)
        report(found["stage"], found["bytesDone"], found["bytesTotal"])
        if found["status"] == "SUCCEEDED":
            return found
        if found["status"] in {"FAILED", "ABORTED"}:
            raise TransferFailedError(f"{found['kind']} {request}: {found['errorReason']}")
        time.sleep(_POLL_SECONDS)
    raise UnavailableError(f"transfer {request} has not ended after {_SECONDS_MAX:.0f} s")


def fetch(client: HostClient, request: str, file: Path, size: int, report: Report) -> None:
    """Write the file of an export; one that is there in part is continued.

    Raises:
        OSError: it cannot be written.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    with os.fdopen(os.open(file, flags, 0o600), "r+b") as stream:
        stream.seek(0, os.SEEK_END)
        while stream.tell() < size:
            offset = stream.tell()
            path = f"/maintenance/transfer/{request}/file"
            data = client.ask("GET", path, params={"offset": offset})
            if not data:
                raise UnavailableError(f"the file of {request} ends after {offset} bytes")
            stream.write(data)
            report("fetch", stream.tell(), size)
        stream.flush()
        os.fsync(stream.fileno())


def send(client: HostClient, file: Path, identity: str | None, report: Report) -> str:
    """Send a node's file to a host, and have it loaded; returns the request's id.

    Raises:
        OSError: the file cannot be read.
    """
    path = "/maintenance/import"
    request = shaped(client.post(path), Requested, path)["requestId"]
    size = file.stat().st_size
    with file.open("rb") as stream:
        while data := stream.read(PART_BYTES):
            offset = stream.tell() - len(data)
            _send_part(client, request, offset, data)
            report("send", stream.tell(), size)
    start = {} if identity is None else {"identity": identity}
    client.post(f"{path}/{request}/start", dict(start))
    return request


def _send_part(client: HostClient, request: str, offset: int, data: bytes) -> None:
    path = f"/maintenance/import/{request}/part"
    for last in (False, False, True):
        try:
            answer = client.upload("PUT", path, {"part": ("part", data)}, {"offset": str(offset)})
        except UnavailableError:
            if last:
                raise
            time.sleep(_POLL_SECONDS)
            continue
        shaped(answer, ImportedSize, path)
        return


def activate(
    client: HostClient,
    node: str,
    *,
    endpoints: tuple[str, ...],
    tls_alias: str | None,
    token: str | None,
) -> NodeLocation:
    """Let an imported node work."""
    path = f"/maintenance/virtualnode/{node}/activate"
    body: dict[str, str | list[str]] = {"endpoints": list(endpoints)}
    if tls_alias is not None:
        body["p2pTlsCertificateChainAlias"] = tls_alias
    if token is not None:
        body["preAuthToken"] = token
    return shaped(client.post(path, dict(body)), NodeLocation, path)


def until_here(client: HostClient, node: str, report: Report) -> NodeLocation:
    """Wait until a node's MGM has let it work on a host.

    Raises:
        TransferFailedError: another copy was granted the place, or the MGM declined.
        UnavailableError: the MGM's operators have not approved it within an hour.
    """
    deadline = time.monotonic() + _APPROVAL_SECONDS_MAX
    while time.monotonic() < deadline:
        found = location(client, node)
        if found["place"] == "HERE":
            return found
        if found["errorReason"] is not None:
            raise TransferFailedError(f"virtual node {node}: {found['errorReason']}")
        report("approval", 0, 0)
        time.sleep(_POLL_SECONDS)
    raise UnavailableError(f"nobody has approved the move of {node} within an hour")


def tell_moved(client: HostClient, node: str, proof: str) -> None:
    """Tell a node's source that it works elsewhere; its list may have told it before."""
    path = f"/maintenance/virtualnode/{node}/moved"
    if location(client, node)["place"] == "MOVED":
        return
    try:
        client.post(path, {"proof": proof})
    except HostConflictError:
        if location(client, node)["place"] != "MOVED":
            raise
