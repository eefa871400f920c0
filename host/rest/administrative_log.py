"""The administrative log over REST."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Request, Response

from host.domain.paging import Cursor
from host.nodes.audit_log.administrative import ActQuery, ActView
from host.rest.operation import resource
from host.rest.pages import NEXT_HEADERS, Asked, as_json, listed
from host.rest.parameters import Instant
from host.rest.services import Services
from host.rest.wire import instant, millis, wire

router = resource("Administrative Log")

_TEXT_CHARACTERS_MAX = 2048


@wire
class ActInfo:
    """Who did what.

    `sequence` and `hash` are those of its first entry. `status` and `code` are those of the answer;
    an act without them runs, or the host ended within it. `refused` acts were not begun; `count`
    says how often that was so in a row.
    """

    sequence: int
    hash: str
    timestamp: datetime
    source: str
    user: str
    address: str
    request_id: str
    method: str
    path: str
    operation: str
    parameters: Mapping[str, Any]
    refused: bool
    count: int
    result: Mapping[str, Any]
    status: int | None = None
    code: str | None = None
    ended_timestamp: datetime | None = None


@wire
class ActInfos:
    acts: list[ActInfo]


_ACT_JSON = as_json(ActInfo)


@router.get(
    "/administrativelog",
    response_model=ActInfos,
    responses={200: {"headers": NEXT_HEADERS}},
)
def get_administrative_log(
    *,
    services: Services,
    request: Request,
    asked: Asked,
    user: Annotated[str | None, Query(max_length=255, description="Login name.")] = None,
    since: Annotated[Instant | None, Query(description="Acts that began then or later.")] = None,
    until: Annotated[Instant | None, Query(description="Acts that began before.")] = None,
    resource: Annotated[
        str | None,
        Query(max_length=_TEXT_CHARACTERS_MAX, description="A part of the path, in its letters."),
    ] = None,
) -> Response:
    """List what users and operators did to the host, newest first."""
    query = ActQuery(user=user, since=millis(since), until=millis(until), resource=resource)

    def fetch(cursor: Cursor | None, limit: int) -> Sequence[ActView]:
        before = None if cursor is None else cursor.last[0]
        return services.administrative_log.page(query, before=before, limit=limit)

    page = asked.of("acts", fetch, lambda view: (view.seq, ""))
    return listed(request, page, lambda view: _ACT_JSON(_info(view)), member="acts")


def _info(view: ActView) -> ActInfo:
    act = view.act
    return ActInfo(
        sequence=view.seq,
        hash=view.hash,
        timestamp=instant(view.at),
        source=act.source,
        user=act.user,
        address=act.address,
        request_id=act.request_id,
        method=act.method,
        path=act.path,
        operation=act.operation,
        parameters=act.parameters,
        refused=view.is_refusal,
        count=view.count,
        status=view.status,
        code=view.code,
        result=view.result,
        ended_timestamp=None if view.ended_at is None else instant(view.ended_at),
    )
