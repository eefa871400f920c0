"""Moves of virtual nodes between running hosts; each step may be repeated after an interruption."""

import time
from collections.abc import Callable

from host.domain.errors import ConflictError, UnavailableError
from host.tools.client.answers import shaped
from host.tools.client.host_client import HostClient, HostConflictError
from host.tools.network.answer_shapes import (
    NodeLocation,
    Requested,
    TransferKey,
    TransferStatus,
)

POLL_SECONDS = 0.2
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


def transfer(client: HostClient, request: str) -> TransferStatus:
    """How far an export or import is, by its host."""
    path = f"/maintenance/transfer/{request}"
    return shaped(client.get(path), TransferStatus, path)


def until_ended(client: HostClient, request: str, report: Report) -> TransferStatus:
    """Wait until an export or import has ended well.

    Raises:
        TransferFailedError: it failed.
        UnavailableError: it takes more than an hour.
    """
    deadline = time.monotonic() + _SECONDS_MAX
    while time.monotonic() < deadline:
        found = transfer(client, request)
        report(found["stage"], found["bytesDone"], found["bytesTotal"])
        if found["status"] == "SUCCEEDED":
            return found
        if found["status"] in {"FAILED", "ABORTED"}:
            raise TransferFailedError(f"{found['kind']} {request}: {found['errorReason']}")
        time.sleep(POLL_SECONDS)
    raise UnavailableError(f"transfer {request} has not ended after {_SECONDS_MAX:.0f} s")


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
        time.sleep(POLL_SECONDS)
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
