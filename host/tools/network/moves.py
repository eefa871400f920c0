"""A move from one running host to another: steps that are skipped where they were done before."""

from dataclasses import dataclass
from pathlib import Path

from host.domain.errors import NotFoundError
from host.tools.client.host_client import HostClient
from host.tools.network import moving
from host.tools.network.answer_shapes import NodeLocation
from host.tools.network.moving import Report


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
    file.unlink(missing_ok=True)
    _note(file).unlink(missing_ok=True)
    return arrived


def _carry(source: HostClient, target: HostClient, node: str, file: Path, report: Report) -> None:
    note = _note(file)
    if moving.location(source, node)["place"] == "HERE" or not note.exists():
        request = moving.begin_export(source, node, moving.transfer_key(target), None)
        file.unlink(missing_ok=True)
        note.write_text(request)
    request = note.read_text().strip()
    size = moving.until_ended(source, request, report)["bytesTotal"]
    moving.fetch(source, request, file, size, report)
    moving.until_ended(target, moving.send(target, file, None, report), report)


def _location(client: HostClient, node: str) -> NodeLocation | None:
    try:
        return moving.location(client, node)
    except NotFoundError:
        return None


def _note(file: Path) -> Path:
    return file.with_name(f"{file.name}.request")
