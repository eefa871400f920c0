"""The Flow Management and Flow Info resources: start flows, poll them, list what can be started."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import Body, Query, Request, Response

from host.access import User, start_flow_action
from host.domain.errors import ForbiddenError
from host.domain.failure_lines import summary
from host.domain.flow import FlowStatus, FlowStatusName
from host.domain.ids import EpochMs
from host.domain.json import JsonValue
from host.domain.paging import Cursor
from host.flow.core.statuses import UnreadStatus
from host.ports.glances import FlowGlance, GlancePlace, GlanceQuery
from host.rest.json_body import json_or_text, result_json
from host.rest.operation import resource
from host.rest.pages import NEXT_HEADERS, Asked, as_json, listed, streamed
from host.rest.parameters import Instant, NodeHash, RequestId, UpperCase
from host.rest.requester import requester_of
from host.rest.services import Caller, RestServices, Services
from host.rest.wire import instant, millis, wire

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
    """Why a flow ended; the message ends with the place in the CorDapp's code, if it is known.

    `type` is `FLOW_FAILED` for failures in flow code and timeouts, as in Corda; `code`, which Corda
    lacks, is always the stable code.
    """

    type: str
    code: str
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


_STATUS_JSON = as_json(FlowStatusResponse)
_RESULT_JSON = as_json(FlowResultResponse)
_WITH_ERROR = (FlowStatusName.FAILED, FlowStatusName.KILLED)


@router.post(
    "/flow/{holdingidentityshorthash}",
    status_code=HTTPStatus.ACCEPTED,
    response_model=FlowStatusResponse,
)
def post_flow(
    holdingidentityshorthash: NodeHash,
    start: Annotated[StartFlowParameters, Body(alias="startFlow")],
    services: Services,
    caller: Caller,
    request: Request,
) -> Response:
    """Start a flow; poll it under the client request id."""
    body = start.request_body
    flow = started(
        holdingidentityshorthash,
        start.client_request_id,
        start.flow_class_name,
        json_or_text(body) if isinstance(body, str) else body,
        services=services,
        caller=caller,
        trace=requester_of(request.scope).trace,
    )
    # Rendered here: FastAPI would render it on another thread, which waits for the interpreter.
    answer = streamed((_STATUS_JSON(flow),))
    answer.status_code = HTTPStatus.ACCEPTED
    return answer


@router.get(
    "/flow/{holdingidentityshorthash}",
    response_model=FlowStatusResponses,
    responses={200: {"headers": NEXT_HEADERS}},
)
def get_flows(
    holdingidentityshorthash: NodeHash,
    services: Services,
    request: Request,
    asked: Asked,
    status: Annotated[str | None, UpperCase] = None,
    *,
    since: Annotated[Instant | None, Query(description="Only those started then or later.")] = None,
    responders: bool = False,
    results: bool = False,
) -> Response:
    """List the statuses of flows of a virtual node, the latest start first.

    `status` selects those in one status. `responders` adds the flows that counterparties initiated;
    their client request id is the session's id. `results` adds the results of completed flows.
    Corda's own interface shows no responders, and all results.
    """
    node = services.virtual_node(holdingidentityshorthash).holding.short_hash

    def fetch(cursor: Cursor | None, limit: int) -> Sequence[FlowGlance]:
        before = (
            None
            if cursor is None
            else GlancePlace(started_at=EpochMs(cursor.last[0]), key=cursor.last[1])
        )
        until = None if cursor is None else cursor.snapshot
        query = GlanceQuery(
            node=node,
            status=status,
            responders=responders,
            before=before,
            until=until,
            since=millis(since),
        )
        return services.flows.page(query, limit)

    def render(glance: FlowGlance) -> bytes:
        return b"".join(_glance_parts(services, glance, with_result=results))

    page = asked.of(f"flows of {node}", fetch, lambda glance: (glance.started_at, glance.key))
    return listed(request, page, render, member="flowStatusResponses")


@router.get("/flow/{holdingidentityshorthash}/{clientrequestid}", response_model=FlowStatusResponse)
def get_flow(
    holdingidentityshorthash: NodeHash, clientrequestid: RequestId, services: Services
) -> Response:
    """Give the status of one flow."""
    node = services.virtual_node(holdingidentityshorthash)
    return streamed(_status_parts(services.flows.unread(node.holding.short_hash, clientrequestid)))


@router.get(
    "/flow/{holdingidentityshorthash}/{clientrequestid}/result", response_model=FlowResultResponse
)
def get_flow_result(
    holdingidentityshorthash: NodeHash, clientrequestid: RequestId, services: Services
) -> Response:
    """Give a flow's result as JSON; 202 while the flow runs.

    A result that is no JSON, or breaks a rule such as a key that stands twice, is a string.
    """
    node = services.virtual_node(holdingidentityshorthash)
    found = services.flows.unread(node.holding.short_hash, clientrequestid)
    answer = streamed(_result_parts(found))
    if not found.status.status.is_final:
        answer.status_code = HTTPStatus.ACCEPTED
    return answer


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
    trace: str | None,
) -> FlowStatusResponse:
    """Start a flow for a caller who may start it; `trace` is the span of the request.

    Raises:
        ForbiddenError: the caller has no permission `StartFlow:<flow class>`.
    """
    node = services.virtual_node(short_hash)
    action = start_flow_action(flow_class, node.holding.short_hash)
    if not caller.may(action):
        raise ForbiddenError("User not allowed to start this flow.", action=action.canonical)
    cpi = services.cpi_of(node)
    flow = services.flows.start(node, cpi, client_request_id, flow_class, argument, trace=trace)
    return status_response(flow)


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


def _glance_parts(
    services: RestServices, glance: FlowGlance, *, with_result: bool
) -> Iterator[bytes]:
    """A flow in a list; its complete status is read only for fields that the list row lacks."""
    if glance.status in _WITH_ERROR or (with_result and glance.status == FlowStatusName.COMPLETED):
        found = services.flows.glanced_unread(glance)
        if found is not None:
            return _status_parts(found) if with_result else _without_result(found.status)
    response = FlowStatusResponse(
        holding_identity_short_hash=glance.node,
        client_request_id=glance.request_id,
        flow_id=glance.flow_id,
        flow_status=glance.status,
        timestamp=instant(glance.updated_at),
    )
    return iter((_STATUS_JSON(response),))


def _without_result(status: FlowStatus) -> Iterator[bytes]:
    yield _STATUS_JSON(status_response(status))


def _status_parts(found: UnreadStatus) -> Iterator[bytes]:
    """A `FlowStatusResponse` as JSON; its result is the JSON string that is stored."""
    head, _, tail = _STATUS_JSON(status_response(found.status)).partition(b'"flowResult":null')
    yield head + b'"flowResult":'
    yield bytes(found.result)
    yield tail


def _result_parts(found: UnreadStatus) -> Iterator[bytes]:
    """A `FlowResultResponse` as JSON; its result is not parsed, since it may be large."""
    flow = found.status
    answer = FlowResultResponse(
        holding_identity_short_hash=flow.holding_short_hash,
        client_request_id=flow.client_request_id,
        flow_id=flow.flow_id,
        flow_status=flow.status.value,
        flow_error=_error(flow),
        timestamp=instant(flow.updated_at),
    )
    head, _, tail = _RESULT_JSON(answer).partition(b'"json":null')
    yield head + b'"json":'
    yield _result_json(found)
    yield tail


def _result_json(found: UnreadStatus) -> bytes:
    """The value of a result: its text if that is JSON, else the JSON string that is stored."""
    if found.result_is_json is False:
        return bytes(found.result)
    text = msgspec.json.decode(found.result, type=str | None)
    if text is None:
        return b"null"
    return text.encode() if found.result_is_json else result_json(text)


def _error(flow: FlowStatus) -> FlowStateErrorResponse | None:
    if flow.error is None:
        return None
    return FlowStateErrorResponse(
        type=flow.error.type,
        code=flow.error.code,
        message=summary(flow.error.message, flow.error.trace),
    )
