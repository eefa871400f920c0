"""The Flow Management and Flow Info resources: start flows, poll them, list what can be started."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Body, Response

from host.domain.errors import ForbiddenError
from host.domain.flow import FlowStatus
from host.domain.json import JsonValue
from host.rbac import User, start_flow_action
from host.rest.json_body import json_or_text
from host.rest.operation import resource
from host.rest.parameters import NodeHash, RequestId, UpperCase
from host.rest.services import Caller, RestServices, Services
from host.rest.wire import instant, wire

router = resource("Flow Management")
class_router = resource("Flow Info")


@wire
class StartFlowParameters:
    """What to start: `request_body` is any JSON value, or JSON escaped into a string."""

    client_request_id: str
    flow_class_name: str
    request_body: Any


@wire
class FlowStateErrorResponse:
    """Why a flow ended; the message ends with the place in the CorDapp's code, if it is known."""

    type: str
    message: str


@wire
class FlowStatusResponse:
    holding_identity_short_hash: str
    client_request_id: str | None = None
    flow_id: str | None = None
    flow_status: str
    flow_result: str | None = None
    flow_error: FlowStateErrorResponse | None = None
    timestamp: datetime


@wire
class FlowStatusResponses:
    flow_status_responses: list[FlowStatusResponse]


@wire
class FlowResultResponse:
    holding_identity_short_hash: str
    client_request_id: str | None = None
    flow_id: str | None = None
    flow_status: str
    json: Any = None
    flow_error: FlowStateErrorResponse | None = None
    timestamp: datetime


@wire
class StartableFlowsResponse:
    flow_class_names: list[str]


@router.post("/flow/{holdingidentityshorthash}", status_code=HTTPStatus.ACCEPTED)
def post_flow(
    holdingidentityshorthash: NodeHash,
    start: Annotated[StartFlowParameters, Body(alias="startFlow")],
    services: Services,
    caller: Caller,
) -> FlowStatusResponse:
    """Start a flow; poll it under the client request id."""
    body = start.request_body
    return started(
        holdingidentityshorthash,
        start.client_request_id,
        start.flow_class_name,
        json_or_text(body) if isinstance(body, str) else body,
        services=services,
        caller=caller,
    )


@router.get("/flow/{holdingidentityshorthash}")
def get_flows(
    holdingidentityshorthash: NodeHash,
    services: Services,
    status: Annotated[str | None, UpperCase] = None,
    *,
    responders: bool = False,
) -> FlowStatusResponses:
    """List the statuses of all flows of a virtual node, or of those with one status.

    `responders` adds the flows that counterparties initiated; their client request id is the
    session's id. Corda's own interface does not show them.
    """
    node = services.virtual_node(holdingidentityshorthash)
    found = services.flows.list(node.holding.short_hash, status, include_responders=responders)
    return FlowStatusResponses(flow_status_responses=[status_response(flow) for flow in found])


@router.get("/flow/{holdingidentityshorthash}/{clientrequestid}")
def get_flow(
    holdingidentityshorthash: NodeHash, clientrequestid: RequestId, services: Services
) -> FlowStatusResponse:
    """Give the status of one flow."""
    node = services.virtual_node(holdingidentityshorthash)
    return status_response(services.flows.status(node.holding.short_hash, clientrequestid))


@router.get("/flow/{holdingidentityshorthash}/{clientrequestid}/result")
def get_flow_result(
    holdingidentityshorthash: NodeHash,
    clientrequestid: RequestId,
    services: Services,
    response: Response,
) -> FlowResultResponse:
    """Give a flow's result as JSON; 202 while the flow runs."""
    node = services.virtual_node(holdingidentityshorthash)
    found = services.flows.status(node.holding.short_hash, clientrequestid)
    if not found.status.is_final:
        response.status_code = HTTPStatus.ACCEPTED
    return _result(found)


@class_router.get("/flowclass/{holdingidentityshorthash}")
def get_flow_classes(
    holdingidentityshorthash: NodeHash, services: Services
) -> StartableFlowsResponse:
    """List the flows that a client can start on a virtual node."""
    cpi = services.cpi_of(services.virtual_node(holdingidentityshorthash))
    return StartableFlowsResponse(flow_class_names=[flow.name for flow in cpi.startable_flows()])


def started(
    short_hash: str,
    client_request_id: str,
    flow_class: str,
    argument: JsonValue,
    *,
    services: RestServices,
    caller: User,
) -> FlowStatusResponse:
    """Start a flow for a caller who may start it.

    Raises:
        ForbiddenError: the caller has no permission `StartFlow:<flow class>`.
    """
    node = services.virtual_node(short_hash)
    action = start_flow_action(flow_class)
    if not caller.may(action):
        raise ForbiddenError("User not allowed to start this flow.", action=action.canonical)
    cpi = services.cpi_of(node)
    return status_response(services.flows.start(node, cpi, client_request_id, flow_class, argument))


def status_response(flow: FlowStatus) -> FlowStatusResponse:
    """A status on the wire."""
    return FlowStatusResponse(
        holding_identity_short_hash=flow.holding_short_hash,
        client_request_id=flow.client_request_id,
        flow_id=flow.flow_id,
        flow_status=flow.status.value,
        flow_result=flow.result,
        flow_error=_error(flow),
        timestamp=instant(flow.updated_at),
    )


def _result(flow: FlowStatus) -> FlowResultResponse:
    return FlowResultResponse(
        holding_identity_short_hash=flow.holding_short_hash,
        client_request_id=flow.client_request_id,
        flow_id=flow.flow_id,
        flow_status=flow.status.value,
        json=None if flow.result is None else json_or_text(flow.result),
        flow_error=_error(flow),
        timestamp=instant(flow.updated_at),
    )


def _error(flow: FlowStatus) -> FlowStateErrorResponse | None:
    if flow.error is None:
        return None
    message, trace = flow.error.message, flow.error.trace
    return FlowStateErrorResponse(
        type=flow.error.type, message=f"{message} (at {trace[-1]})" if trace else message
    )
