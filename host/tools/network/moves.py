"""A move from one running host to another: steps that are skipped where they were done before."""

from dataclasses import dataclass
from pathlib import Path

from host.domain.errors import ConflictError, NotFoundError
from host.tools.client.host_client import HostClient
from host.tools.network import moving, node_files
from host.tools.network.answer_shapes import NodeLocation
from host.tools.network.moving import Report


class SameClusterError(ConflictError):
    """A virtual node is to be moved to the cluster where it is."""

    code = "move-to-same-cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPlace:
    """Where a node works from now on; see `moving.activate`."""

    endpoints: tuple[str, ...]
    tls_alias: str | None
    token: str | None


def move(
    source: HostClient,
    target: HostClient,
    node: str,
    file: Path,
    *,
    place: NewPlace,
    report: Report,
) -> NodeLocation:
    """Move a node with its flows; returns its location at the target.

    Args:
        source: the node's host.
        target: its new host.
        node: short hash.
        file: kept until the node works at its target; `FILE.request` beside it names the export.
        place: where it works from now on.
        report: told of stages.

    Raises:
        HostError: a step was refused; run it again when its cause is gone.
        OSError: the file cannot be written or read.
    """
    moving.location(source, node)  # whoever mistypes a node or its host learns it first
    check_other(source, target)
    arrived = _location(target, node)
    if arrived is None:
        _carry(source, target, node, file, report)
        arrived = moving.location(target, node)
    if arrived["place"] != "HERE":
        moving.activate(
            target,
            node,
            endpoints=place.endpoints,
            tls_alias=place.tls_alias,
            token=place.token,
        )
        arrived = moving.until_here(target, node, report)
    if arrived["proof"] is not None:
        moving.tell_moved(source, node, arrived["proof"])
    if node_files.is_noted(file):
        node_files.forget(file, with_file=True)
    return arrived


def check_other(source: HostClient, target: HostClient) -> None:
    """Refuse a move to where it begins.

    Raises:
        SameClusterError: both are hosts of one cluster.
    """
    if moving.transfer_key(source) == moving.transfer_key(target):
        raise SameClusterError(
            f"{source.url} and {target.url} are hosts of one cluster: name the new host"
        )


def _carry(source: HostClient, target: HostClient, node: str, file: Path, report: Report) -> None:
    recipient = moving.transfer_key(target)
    node_files.exported(source, node, file, recipient=recipient, report=report)
    node_files.loaded(target, file, None, report)


def _location(client: HostClient, node: str) -> NodeLocation | None:
    try:
        return moving.location(client, node)
    except NotFoundError:
        return None
