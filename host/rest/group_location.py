"""Exports, imports and moves of whole static groups. Corda has no such resource."""

from http import HTTPStatus
from typing import Annotated

from host.ports.locations import Place
from host.rest.location import ExportRequest, NodeLocation, node_location
from host.rest.operation import resource
from host.rest.parameters import GroupId, IsUuid
from host.rest.services import RestServices, Services
from host.rest.wire import wire

router = resource("Virtual Node Maintenance")


@wire
class NodeExport:
    request_id: str
    holding_identity_short_hash: str


@wire
class GroupExportResponse:
    """Exports of all nodes of a group; `export_id` is what their files have in common."""

    export_id: str
    exports: tuple[NodeExport, ...]


@wire
class GivenRequest:
    """Which cluster gets a group.

    Attributes:
        export_id: of the files that it has loaded.
        recipient: its `GET /maintenance/transferkey`.
    """

    export_id: Annotated[str, IsUuid]
    recipient: str


@wire
class GroupCancelRequest:
    """Takes a group back. `unfenced`: no copy of it is used; nobody but the operator knows."""

    unfenced: bool = False


@wire
class GroupActivateRequest:
    """What an operator says of an imported group, which has no MGM.

    Attributes:
        unfenced: no other copy works: its source has given it away, or is lost.
        uniqueness_current: its notary has signed nothing after the export.
    """

    unfenced: bool = False
    uniqueness_current: bool = False


@wire
class GroupLocation:
    """Where the nodes of a static group are.

    Attributes:
        export_id: of their files; null if they have none here, or are of several exports.
        recipient: the `GET /maintenance/transferkey` of this cluster.
    """

    group_id: str
    export_id: str | None
    recipient: str
    nodes: tuple[NodeLocation, ...]


@router.post("/maintenance/group/{groupid}/export", status_code=HTTPStatus.ACCEPTED)
def post_group_export(
    groupid: GroupId, request: ExportRequest, services: Services
) -> GroupExportResponse:
    """Pause all virtual nodes of a static group, and write a file of each; poll their statuses."""
    found = services.moves.groups.export(
        groupid, recipient=request.recipient, identity=request.identity
    )
    return GroupExportResponse(
        export_id=found.export_id,
        exports=tuple(
            NodeExport(request_id=request_id, holding_identity_short_hash=node)
            for node, request_id in found.requests.items()
        ),
    )


@router.post("/maintenance/group/{groupid}/export/cancel")
def post_group_export_cancel(
    groupid: GroupId, request: GroupCancelRequest, services: Services
) -> GroupLocation:
    """Take an exported static group back, whose files are not used."""
    services.moves.groups.cancel(groupid, is_forced=request.unfenced)
    return _location(services, groupid)


@router.post("/maintenance/group/{groupid}/moved")
def post_group_moved(groupid: GroupId, request: GivenRequest, services: Services) -> GroupLocation:
    """Give an exported static group to the cluster that has loaded its files; erase it here."""
    services.moves.groups.given(groupid, export_id=request.export_id, recipient=request.recipient)
    return _location(services, groupid)


@router.post("/maintenance/group/{groupid}/activate")
def post_group_activate(
    groupid: GroupId, request: GroupActivateRequest, services: Services
) -> GroupLocation:
    """Let an imported static group work here, all its nodes at once."""
    services.moves.groups.activate(
        groupid,
        is_forced=request.unfenced,
        is_uniqueness_current=request.uniqueness_current,
    )
    return _location(services, groupid)


@router.get("/maintenance/group/{groupid}/location")
def get_group_location(groupid: GroupId, services: Services) -> GroupLocation:
    """Tell where the virtual nodes of a static group are."""
    return _location(services, groupid)


def _location(services: RestServices, group_id: str) -> GroupLocation:
    nodes = [each.holding.short_hash for each in services.moves.groups.nodes(group_id)]
    locations = [services.moves.location(node) for node in nodes]
    exports = {
        None if each is None or each.place is Place.MOVED else each.location_id
        for each in locations
    }
    return GroupLocation(
        group_id=group_id,
        export_id=exports.pop() if len(exports) == 1 else None,
        recipient=services.transfer_key(),
        nodes=tuple(node_location(services, node) for node in nodes),
    )
