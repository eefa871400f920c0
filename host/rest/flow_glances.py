"""Flows of all virtual nodes in one list, and where one of them stands. Corda has neither."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Annotated

from fastapi import Query, Request, Response

from host.domain.flow import FlowStatus, FlowStatusName
from host.domain.ids import EpochMs, HoldingIdentity
from host.domain.paging import Cursor
from host.domain.vnode import NodeState
from host.domain.x500 import MemberX500Name
from host.flow.core.checkpoint import Checkpoint
from host.observe.judgement.standing import (
    Standing,
    standing_of,
    standing_of_ended,
    standing_of_start,
    with_stopped,
)
from host.ports.glances import FlowGlance, GlancePlace, GlanceQuery
from host.rest.operation import resource
from host.rest.pages import NEXT_HEADERS, Asked, PageAsked, as_json, listed
from host.rest.parameters import NodeHash, RequestId
from host.rest.services import RestServices, Services
from host.rest.wire import instant, wire

router = resource("Flow Management")

_PEERS_MAX = 20
"""Counterparties of a flow whose state is looked up."""

OPEN = "OPEN"
"""Stands for the statuses of flows that have not ended."""
_OPEN_STATUSES = (FlowStatusName.RUNNING.value, FlowStatusName.START_REQUESTED.value)
_STATUSES = "^(" + "|".join([OPEN, *(s.value for s in FlowStatusName)]) + ")$"


@wire
class FlowGlanceInfo:
    """A flow in a list: `client_request_id` of a responder is its session's id."""

    holding_identity_short_hash: str
    x500_name: str
    client_request_id: str
    flow_id: str | None
    flow_class: str
    flow_status: str
    is_responder: bool
    started_timestamp: datetime
    updated_timestamp: datetime
    ended_timestamp: datetime | None


@wire
class FlowGlances:
    flows: list[FlowGlanceInfo]


@wire
class StandingInfo:
    """Where a flow stands.

    `title` and `consequence` are sentences. If nothing comes until `deadline`, the flow fails with
    `failsWith`. `step` is the number of the host call that waits.
    """

    holding_identity_short_hash: str
    x500_name: str
    client_request_id: str
    flow_id: str | None
    flow_class: str
    flow_status: str
    is_responder: bool
    kind: str
    title: str
    consequence: str
    since: datetime | None
    deadline: datetime | None
    fails_with: str | None
    peers: list[str]
    step: int | None
    as_of: datetime


_GLANCE_JSON = as_json(FlowGlanceInfo)


Status = Annotated[
    str | None, Query(pattern=_STATUSES, description="A status, or `OPEN` for all unfinished.")
]


@router.get("/flow", response_model=FlowGlances, responses={200: {"headers": NEXT_HEADERS}})
def get_flows_of_all(
    *,
    services: Services,
    request: Request,
    asked: Asked,
    status: Status = None,
    responders: bool = False,
) -> Response:
    """List flows of all virtual nodes, the latest start first, without results."""
    wanted = GlanceQuery(status=status, responders=responders)
    return _listed(services, request, asked, wanted)


@router.get(
    "/glance/flow/{holdingidentityshorthash}",
    response_model=FlowGlances,
    responses={200: {"headers": NEXT_HEADERS}},
)
def get_flow_glances(
    *,
    holdingidentityshorthash: NodeHash,
    services: Services,
    request: Request,
    asked: Asked,
    status: Status = None,
    responders: bool = False,
) -> Response:
    """List flows of one virtual node in the form of `GET /flow`."""
    node = services.virtual_node(holdingidentityshorthash).holding.short_hash
    wanted = GlanceQuery(node=node, status=status, responders=responders)
    return _listed(services, request, asked, wanted)


def _listed(
    services: RestServices, request: Request, asked: PageAsked, wanted: GlanceQuery
) -> Response:
    def fetch(cursor: Cursor | None, limit: int) -> Sequence[FlowGlance]:
        place = None
        if cursor is not None:
            place = GlancePlace(started_at=EpochMs(cursor.last[0]), key=cursor.last[1])
        until = None if cursor is None else cursor.snapshot
        statuses = _OPEN_STATUSES if wanted.status == OPEN else (wanted.status,)
        found = [
            services.flows.page(replace(wanted, status=one, before=place, until=until), limit)
            for one in statuses
        ]
        return list(islice(merge(*found, key=lambda glance: glance.place, reverse=True), limit))

    order = f"flow glances {wanted.node}"
    page = asked.of(order, fetch, lambda glance: (glance.started_at, glance.key))
    nodes = services.board.nodes()

    def render(glance: FlowGlance) -> bytes:
        known = nodes.get(glance.node)
        name = glance.node if known is None else known.name
        return _GLANCE_JSON(glance_info(glance, name))

    return listed(request, page, render, member="flows")


@router.get("/flow/{holdingidentityshorthash}/{clientrequestid}/standing")
def get_flow_standing(
    holdingidentityshorthash: NodeHash, clientrequestid: RequestId, services: Services
) -> StandingInfo:
    """Tell where a flow stands: what it waits for, and what happens if nothing changes.

    A responder is named by its session's id.
    """
    holding = services.virtual_node(holdingidentityshorthash).holding
    now = services.clock.now_ms()
    status, checkpoint = services.flows.stands(holding.short_hash, clientrequestid)
    found = _found(status, checkpoint, now)
    found = with_stopped(found, stopped_here(services, found.peers, holding.group_id))
    return StandingInfo(
        holding_identity_short_hash=holding.short_hash,
        x500_name=str(holding.x500_name),
        client_request_id=clientrequestid,
        flow_id=status.flow_id,
        flow_class=status.flow_class,
        flow_status=status.status.value,
        is_responder=checkpoint is not None and checkpoint.responds_to is not None,
        kind=found.kind.value,
        title=found.title,
        consequence=found.consequence,
        since=_instant(found.since),
        deadline=_instant(found.deadline),
        fails_with=found.fails_with or None,
        peers=list(found.peers),
        step=found.step,
        as_of=instant(now),
    )


def stopped_here(services: RestServices, names: Sequence[str], group_id: str) -> Mapping[str, str]:
    """States of those members of a group that are nodes of this cluster and do not run, by name."""
    found = {}
    for name in names[:_PEERS_MAX]:
        holding = HoldingIdentity(x500_name=MemberX500Name.parse(name), group_id=group_id)
        node = services.virtual_nodes.get(holding.short_hash)
        if node is not None and node.holding == holding and node.state is not NodeState.ACTIVE:
            found[name] = node.state.value
    return found


def _found(status: FlowStatus, checkpoint: Checkpoint | None, now: EpochMs) -> Standing:
    if status.status.is_final:
        return standing_of_ended(status)
    return standing_of_start(status) if checkpoint is None else standing_of(checkpoint, now)


def glance_info(glance: FlowGlance, name: str) -> FlowGlanceInfo:
    """A flow of the node with this name on the wire."""
    return FlowGlanceInfo(
        holding_identity_short_hash=glance.node,
        x500_name=name,
        client_request_id=glance.request_id,
        flow_id=glance.flow_id,
        flow_class=glance.flow_class,
        flow_status=glance.status,
        is_responder=glance.is_responder,
        started_timestamp=instant(glance.started_at),
        updated_timestamp=instant(glance.updated_at),
        ended_timestamp=_instant(glance.ended_at),
    )


def _instant(at: EpochMs | None) -> datetime | None:
    return None if at is None else instant(at)
