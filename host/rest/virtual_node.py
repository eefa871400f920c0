"""The Virtual Node resource: create nodes, look at them, switch them off and on."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import Request, Response
from pydantic import BeforeValidator

from host.domain.ids import Checksum
from host.domain.ids import HoldingIdentity as HoldingIdentityValue
from host.domain.paging import Cursor
from host.domain.vnode import AsyncStatus, NodeState, OperationalStatus, VirtualNode
from host.nodes.vnode.upgrade_report import Diverging, Way
from host.rest.cpi import CpiIdentifier, cpi_identifier
from host.rest.operation import resource
from host.rest.pages import NEXT_HEADERS, Asked, Place, as_json, listed
from host.rest.parameters import CpiHash, NodeHash, NodeStateText
from host.rest.services import RestServices, Services
from host.rest.wire import instant, wire

router = resource("Virtual Node")
maintenance_router = resource("Virtual Node Maintenance")

_NO_CONNECTION = ""
"""Always empty, since the host manages storage itself and has no database connections."""


def _no_connection(value: object) -> None:
    if value is not None:
        raise ValueError("databases of virtual nodes are the host's own: leave it out, or null")


NoConnection = Annotated[None, BeforeValidator(_no_connection)]
"""A database connection, which Corda accepts and this host does not: it is refused, not ignored."""


@wire
class CreateVirtualNodeRequest:
    """Details of the virtual node to be created; the host manages its storage itself."""

    cpi_file_checksum: str
    x500_name: str
    vault_ddl_connection: NoConnection = None
    vault_dml_connection: NoConnection = None
    crypto_ddl_connection: NoConnection = None
    crypto_dml_connection: NoConnection = None
    uniqueness_ddl_connection: NoConnection = None
    uniqueness_dml_connection: NoConnection = None


@wire
class AsyncResponse:
    request_id: str


@wire
class AsyncOperationStatus:
    request_id: str
    operation: str
    status: AsyncStatus
    last_updated_timestamp: datetime
    processing_stage: str | None = None
    error_reason: str | None = None
    resource_id: str | None = None


@wire
class HoldingIdentity:
    x500_name: str
    group_id: str
    short_hash: str
    full_hash: str


@wire
class VirtualNodeInfo:
    holding_identity: HoldingIdentity
    cpi_identifier: CpiIdentifier
    vault_dml_connection_id: str
    crypto_dml_connection_id: str
    uniqueness_dml_connection_id: str
    flow_p2p_operational_status: OperationalStatus
    flow_start_operational_status: OperationalStatus
    flow_operational_status: OperationalStatus
    vault_db_operational_status: OperationalStatus
    vault_ddl_connection_id: str | None = None
    crypto_ddl_connection_id: str | None = None
    uniqueness_ddl_connection_id: str | None = None
    hsm_connection_id: str | None = None
    operation_in_progress: str | None = None
    state: NodeState
    external_messaging_route_configuration: None = None


@wire
class VirtualNodes:
    virtual_nodes: list[VirtualNodeInfo]


@wire
class ChangeVirtualNodeStateResponse:
    holding_id_short_hash: str
    new_state: str


_NODE_JSON = as_json(VirtualNodeInfo)


@router.get("/virtualnode", response_model=VirtualNodes, responses={200: {"headers": NEXT_HEADERS}})
def get_virtual_nodes(services: Services, request: Request, asked: Asked) -> Response:
    """List the virtual nodes of the cluster, the latest first."""

    def fetch(cursor: Cursor | None, limit: int) -> Sequence[VirtualNode]:
        return services.virtual_nodes.newest(limit, None if cursor is None else cursor.last)

    def place(node: VirtualNode) -> Place:
        return node.created_at, node.holding.short_hash

    page = asked.of("nodes", fetch, place)
    identifiers = _identifiers(services, page.items)

    def render(node: VirtualNode) -> bytes:
        return _NODE_JSON(_info(node, identifiers[node.cpi_checksum]))

    return listed(request, page, render, member="virtualNodes")


@router.post("/virtualnode", status_code=HTTPStatus.ACCEPTED)
def post_virtual_node(request: CreateVirtualNodeRequest, services: Services) -> AsyncResponse:
    """Create a virtual node; poll its status with the request id of the reply."""
    started = services.virtual_nodes.create(request.cpi_file_checksum, request.x500_name)
    return AsyncResponse(request_id=started)


@router.get("/virtualnode/status/{requestid}")
def get_virtual_node_status(requestid: str, services: Services) -> AsyncOperationStatus:
    """Give the status of an operation on virtual nodes."""
    found = services.virtual_nodes.operation(requestid)
    return AsyncOperationStatus(
        request_id=found.request_id,
        operation=found.operation,
        status=found.status,
        last_updated_timestamp=instant(found.updated_at),
        processing_stage=found.stage,
        error_reason=found.error_reason,
        resource_id=found.resource_id,
    )


@router.get("/virtualnode/{holdingidentityshorthash}")
def get_virtual_node(holdingidentityshorthash: NodeHash, services: Services) -> VirtualNodeInfo:
    """Give one virtual node."""
    node = services.virtual_node(holdingidentityshorthash)
    return _info(node, cpi_identifier(services.cpi_of(node).identity))


@router.put("/virtualnode/{virtualnodeshortid}/state/{newstate}")
def put_virtual_node_state(
    virtualnodeshortid: NodeHash, newstate: NodeStateText, services: Services
) -> ChangeVirtualNodeStateResponse:
    """Set the state of a virtual node: ACTIVE, MAINTENANCE, which ends its flows, or PAUSED.

    The flows of a paused node wait, without an end, until it is ACTIVE again. It takes messages,
    and starts no flows.
    """
    node = services.virtual_nodes.set_state(virtualnodeshortid, newstate)
    if node.state is NodeState.MAINTENANCE:
        services.flows.end_all(virtualnodeshortid)
    return ChangeVirtualNodeStateResponse(
        holding_id_short_hash=virtualnodeshortid, new_state=newstate
    )


@router.put(
    "/virtualnode/{virtualnodeshortid}/cpi/{targetcpifilechecksum}",
    status_code=HTTPStatus.ACCEPTED,
)
def put_virtual_node_cpi(
    virtualnodeshortid: NodeHash,
    targetcpifilechecksum: CpiHash,
    services: Services,
    *,
    forceupgrade: bool = False,
    flows: Way = Way.KILL,
    diverging: Diverging = Diverging.FINISH,
) -> AsyncResponse:
    """Give a virtual node another version of its CPI; its entities are migrated.

    With `flows=kill`, Corda's way, the node is in maintenance. With `drain`, `finish` and `migrate`
    its open flows live on: it waits for them, they end with the old code, or they go on with the
    new one.
    """
    started = services.virtual_nodes.upgrade(
        virtualnodeshortid,
        targetcpifilechecksum,
        force=forceupgrade,
        way=flows,
        diverging=diverging,
    )
    return AsyncResponse(request_id=started)


@maintenance_router.post(
    "/maintenance/virtualnode/{virtualnodeshortid}/vault-schema/force-resync",
    status_code=HTTPStatus.NO_CONTENT,
)
def post_force_resync(virtualnodeshortid: NodeHash, services: Services) -> None:
    """Forget the entities of a virtual node in maintenance and apply its CPI's schemas anew."""
    services.virtual_nodes.force_resync(virtualnodeshortid)


def _identifiers(
    services: RestServices, nodes: Sequence[VirtualNode]
) -> Mapping[Checksum, CpiIdentifier]:
    """Looks up each CPI of the nodes once, and keeps no records: group policies may be long."""
    found: dict[Checksum, CpiIdentifier] = {}
    for node in nodes:
        if node.cpi_checksum not in found:
            found[node.cpi_checksum] = cpi_identifier(services.cpi_of(node).identity)
    return found


def _info(node: VirtualNode, cpi: CpiIdentifier) -> VirtualNodeInfo:
    held = OperationalStatus.INACTIVE if node.is_paused else None
    return VirtualNodeInfo(
        holding_identity=_holding(node.holding),
        cpi_identifier=cpi,
        vault_dml_connection_id=_NO_CONNECTION,
        crypto_dml_connection_id=_NO_CONNECTION,
        uniqueness_dml_connection_id=_NO_CONNECTION,
        flow_p2p_operational_status=node.flow_p2p_status,
        flow_start_operational_status=held or node.flow_start_status,
        flow_operational_status=held or node.flow_status,
        vault_db_operational_status=node.vault_db_status,
        state=node.state,
    )


def _holding(holding: HoldingIdentityValue) -> HoldingIdentity:
    return HoldingIdentity(
        x500_name=str(holding.x500_name),
        group_id=holding.group_id,
        short_hash=holding.short_hash,
        full_hash=holding.full_hash,
    )
