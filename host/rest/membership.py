"""The Member Registration resource: join the group of a virtual node's CPI."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

from fastapi import Body, Request, Response

from host.domain.paging import Cursor
from host.network.membership import RegistrationRequest
from host.ports.mgm import MgmRegistration
from host.rest.operation import resource
from host.rest.pages import NEXT_HEADERS, Asked, as_json, listed
from host.rest.parameters import NodeHash
from host.rest.services import Services
from host.rest.wire import instant, wire

router = resource("Member Registration")

_SUBMITTED, _NOT_SUBMITTED = "SUBMITTED", "NOT_SUBMITTED"
_REFUSED = frozenset({"DECLINED", "INVALID", "FAILED"})


@wire
class MemberRegistrationRequest:
    context: dict[str, str]


@wire
class MemberInfoSubmitted:
    data: Mapping[str, str]


@wire
class RegistrationRequestProgress:
    registration_id: str
    registration_sent: datetime | None = None
    registration_status: str
    available_now: bool
    reason: str
    member_info_submitted: MemberInfoSubmitted


@wire
class RestRegistrationRequestStatus:
    registration_id: str
    registration_sent: datetime | None = None
    registration_updated: datetime | None = None
    registration_status: str
    member_info_submitted: MemberInfoSubmitted
    reason: str | None = None
    serial: int | None = None


@router.post("/membership/{holdingidentityshorthash}")
def post_registration(
    holdingidentityshorthash: NodeHash,
    request: Annotated[MemberRegistrationRequest, Body(alias="memberRegistrationRequest")],
    services: Services,
) -> RegistrationRequestProgress:
    """Start the registration of a virtual node with its group."""
    node = services.virtual_node(holdingidentityshorthash)
    return _progress(services.membership.register(node.holding.short_hash, request.context))


_STATUS_JSON = as_json(RestRegistrationRequestStatus)


@router.get(
    "/membership/{holdingidentityshorthash}",
    response_model=list[RestRegistrationRequestStatus],
    responses={200: {"headers": NEXT_HEADERS}},
)
def get_registrations(
    holdingidentityshorthash: NodeHash, services: Services, request: Request, asked: Asked
) -> Response:
    """List the registration requests of a virtual node, the latest first."""
    node = services.virtual_node(holdingidentityshorthash).holding.short_hash

    def fetch(cursor: Cursor | None, limit: int) -> Sequence[RegistrationRequest]:
        last = None if cursor is None else cursor.last
        return services.membership.requests(node, limit, last)

    page = asked.of(f"registrations of {node}", fetch, lambda r: (r.sent_at, r.registration_id))
    return listed(
        request, page, lambda found: _STATUS_JSON(registration_status(found, found.context))
    )


@router.get("/membership/{holdingidentityshorthash}/{registrationrequestid}")
def get_registration(
    holdingidentityshorthash: NodeHash, registrationrequestid: str, services: Services
) -> RestRegistrationRequestStatus:
    """Give one registration request."""
    node = services.virtual_node(holdingidentityshorthash)
    found = services.membership.request(node.holding.short_hash, registrationrequestid)
    return registration_status(found, found.context)


def _progress(request: RegistrationRequest) -> RegistrationRequestProgress:
    submitted = request.status not in _REFUSED
    return RegistrationRequestProgress(
        registration_id=request.registration_id,
        registration_sent=instant(request.sent_at),
        registration_status=_SUBMITTED if submitted else _NOT_SUBMITTED,
        available_now=submitted,
        reason=request.reason or "Submitting registration request was successful.",
        member_info_submitted=MemberInfoSubmitted(data=request.context),
    )


def registration_status(
    request: RegistrationRequest | MgmRegistration, submitted: Mapping[str, str]
) -> RestRegistrationRequestStatus:
    """A request as its member's host, or the MGM, has it.

    Args:
        request: the request.
        submitted: the context of the member in it.
    """
    return RestRegistrationRequestStatus(
        registration_id=request.registration_id,
        registration_sent=instant(request.sent_at),
        registration_updated=instant(request.updated_at),
        registration_status=request.status,
        member_info_submitted=MemberInfoSubmitted(data=submitted),
        reason=request.reason,
        serial=request.serial,
    )
