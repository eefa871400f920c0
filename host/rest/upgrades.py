"""Upgrades of virtual nodes, beyond Corda's: rehearse one, and read what was found."""

import json
from http import HTTPStatus

from host.domain.vnode import AsyncStatus
from host.rest.operation import resource
from host.rest.parameters import CpiHash, NodeHash, Uuid
from host.rest.services import Services
from host.rest.virtual_node import AsyncResponse
from host.rest.wire import wire

router = resource("Virtual Node")


@wire
class UpgradeReport:
    """An upgrade or a rehearsal; `report` is null until open flows were rehearsed."""

    request_id: str
    status: AsyncStatus
    processing_stage: str | None = None
    error_reason: str | None = None
    report: dict[str, object] | None = None


@router.post(
    "/virtualnode/{virtualnodeshortid}/cpi/{targetcpifilechecksum}/check",
    status_code=HTTPStatus.ACCEPTED,
)
def post_virtual_node_cpi_check(
    virtualnodeshortid: NodeHash, targetcpifilechecksum: CpiHash, services: Services
) -> AsyncResponse:
    """Rehearse an upgrade, which changes nothing; its report has the request id of the reply."""
    started = services.virtual_nodes.rehearse_upgrade(virtualnodeshortid, targetcpifilechecksum)
    return AsyncResponse(request_id=started)


@router.get("/virtualnode/upgrade/{requestid}")
def get_virtual_node_upgrade(requestid: Uuid, services: Services) -> UpgradeReport:
    """Give the report of an upgrade or a rehearsal, and how far it is."""
    found = services.virtual_nodes.operation(requestid)
    text = services.virtual_nodes.upgrade_report(requestid)
    return UpgradeReport(
        request_id=found.request_id,
        status=found.status,
        processing_stage=found.stage,
        error_reason=found.error_reason,
        report=None if text is None else json.loads(text),
    )
