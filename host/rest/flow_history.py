"""The parts of the Flow Management resource that Corda lacks: kill a flow, and see what it did."""

from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import Query, Response

from host.domain.ids import Checksum
from host.flow.records.history_export import (
    Recording,
    check_export_size,
    encode_in_parts,
    recording_of,
)
from host.rest.flow import FlowStatusResponse, status_response
from host.rest.operation import resource
from host.rest.pages import streamed
from host.rest.parameters import Count, NodeHash, RequestId
from host.rest.services import RestServices, Services

router = resource("Flow Management")

STEPS_MAX = 1000
"""Steps in one answer of the history."""
_REASON_CHARACTERS_MAX = 1000
_KILLED_OVER_REST = "Flow was killed by an operator."


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """`schema` with each reference replaced by its target, as OpenAPI requires."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {key: _inlined(value, definitions) for key, value in schema.items() if key != "$defs"}


def _document(description: str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI response whose body is a `Recording`."""
    schema = msgspec.json.schema(Recording)
    content = {"application/json": {"schema": _inlined(schema, schema["$defs"])}}
    return {200: {"description": description, "content": content}}


@router.post(
    "/flow/{holdingidentityshorthash}/{clientrequestid}/kill", status_code=HTTPStatus.ACCEPTED
)
def post_flow_kill(
    holdingidentityshorthash: NodeHash,
    clientrequestid: RequestId,
    services: Services,
    reason: Annotated[str, Query(max_length=_REASON_CHARACTERS_MAX)] = _KILLED_OVER_REST,
) -> FlowStatusResponse:
    """End a flow in status KILLED; its open sessions fail at their peers.

    Answers the status before: the flow ends at its next step. A responder is named by its session's
    id. Corda's own interface can only stop a whole virtual node.
    """
    node = services.virtual_node(holdingidentityshorthash)
    before = services.flows.kill(node.holding.short_hash, clientrequestid, reason)
    return status_response(before)


@router.get(
    "/flow/{holdingidentityshorthash}/{clientrequestid}/history",
    response_class=Response,
    responses=_document("The flow's steps, without payloads."),
)
def get_flow_history(
    holdingidentityshorthash: NodeHash,
    clientrequestid: RequestId,
    services: Services,
    first_step: Annotated[Count, Query(alias="firststep")] = 0,
    limit: Annotated[int, Query(ge=1, le=STEPS_MAX)] = STEPS_MAX,
) -> Response:
    """Give what a flow did, step by step: times, session messages and sizes, without payloads.

    A responder is named by its session's id.
    """
    return _recording(
        services,
        holdingidentityshorthash,
        clientrequestid,
        with_payloads=False,
        first_step=first_step,
        steps_max=limit,
    )


@router.get(
    "/flow/{holdingidentityshorthash}/{clientrequestid}/export",
    response_class=Response,
    responses=_document("Everything that a replay of the flow needs."),
)
def get_flow_export(
    holdingidentityshorthash: NodeHash, clientrequestid: RequestId, services: Services
) -> Response:
    """Give a flow's whole journal, with all payloads, for `cordbox flow replay`."""
    return _recording(services, holdingidentityshorthash, clientrequestid)


def _recording(
    services: RestServices,
    short_hash: str,
    request_id: str,
    *,
    with_payloads: bool = True,
    first_step: int = 0,
    steps_max: int | None = None,
) -> Response:
    node = services.virtual_node(short_hash)
    found = services.flows.recorded(node.holding.short_hash, request_id)
    if with_payloads:
        check_export_size(found.history.flow_id, found.journal_bytes)
    recording = recording_of(
        found.history,
        services.packages.get(Checksum(found.history.cpi_checksum)),
        with_payloads=with_payloads,
        first_step=first_step,
    )
    entries = found.entries(first_step, steps_max)
    return streamed(encode_in_parts(recording, entries, with_payloads=with_payloads))
