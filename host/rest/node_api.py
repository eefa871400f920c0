"""One API for each virtual node, made from its CPI: every startable flow is a typed operation.

It is served beside Corda's paths, under `/nodes/<short hash>`: `openapi.json` describes it, and
`POST flows/<flow class>` takes the flow's own input as body. Poll the flow on Corda's path.
"""

import uuid
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Body, Request

from host.domain.json import JsonObject
from host.domain.packages import CpiRecord, FlowDeclaration
from host.domain.vnode import VirtualNode
from host.rest.canonical import SAME_AS
from host.rest.flow import FlowStatusResponse, started
from host.rest.operation import resource
from host.rest.parameters import NodeHash
from host.rest.requester import requester_of
from host.rest.services import Caller, Services

PREFIX = "/nodes"
"""The path prefix of the APIs of all nodes."""

router = resource("Nodes")


@router.get(
    "/{holdingidentityshorthash}/openapi.json",
    openapi_extra={SAME_AS: "GET:/flowclass/{holdingidentityshorthash}"},
)
def get_document(holdingidentityshorthash: NodeHash, services: Services) -> dict[str, Any]:
    """Describe the flows of a virtual node as typed operations."""
    node = services.virtual_node(holdingidentityshorthash)
    return dict(node_document(node, services.cpi_of(node)))


@router.post(
    "/{holdingidentityshorthash}/flows/{flowclassname}",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra={SAME_AS: "POST:/flow/{holdingidentityshorthash}"},
)
def post_typed_flow(
    *,
    holdingidentityshorthash: NodeHash,
    flowclassname: str,
    argument: Annotated[Any, Body()],
    services: Services,
    caller: Caller,
    request: Request,
    clientrequestid: str | None = None,
) -> FlowStatusResponse:
    """Start a flow with its own input as body; without a client request id, under a new one."""
    request_id = clientrequestid or str(uuid.uuid4())
    return started(
        holdingidentityshorthash,
        request_id,
        flowclassname,
        argument,
        services=services,
        caller=caller,
        trace=requester_of(request.scope).trace,
    )


def node_document(node: VirtualNode, cpi: CpiRecord) -> JsonObject:
    """The OpenAPI document of one virtual node."""
    identity = cpi.identity
    return {
        "openapi": "3.1.0",
        "info": {
            "title": str(node.holding.x500_name),
            "version": identity.version,
            "description": f"Flows of {identity.name} {identity.version}.",
        },
        "servers": [{"url": f"{PREFIX}/{node.holding.short_hash}"}],
        "security": [{"basicAuth": []}],
        "paths": {f"/flows/{f.name}": {"post": _operation(f)} for f in cpi.startable_flows()},
        "components": {
            "securitySchemes": {"basicAuth": {"type": "http", "scheme": "basic"}},
            "schemas": {
                f"{flow.name}.output": _schema(flow, "output", flow.output_schema)
                for flow in cpi.startable_flows()
                if flow.output_schema is not None
            },
        },
    }


def _operation(flow: FlowDeclaration) -> JsonObject:
    has_output = flow.output_schema is not None
    result = f" Its result is a `{flow.name}.output`." if has_output else ""
    return {
        "operationId": flow.name,
        "summary": f"Start {flow.name}.{result}",
        "parameters": [
            {"name": "clientrequestid", "in": "query", "schema": {"type": "string"}},
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _schema(flow, "input", flow.input_schema)}},
        },
        "responses": {
            "202": {"description": "The flow is started; poll it by its client request id."},
            "400": {"description": "The input does not match the schema."},
            "409": {"description": "The client request id is taken."},
        },
    }


def _schema(flow: FlowDeclaration, role: str, schema: JsonObject | None) -> JsonObject:
    """A flow's schema with its own id, so that references resolve within it."""
    return {"$id": f"urn:cordbox:{flow.name}:{role}", **(schema or {})}
