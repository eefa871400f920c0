"""The MGM and MGM Admin resources: who is in a group, and what all its members agree on."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import Body, Query, Request, Response
from pydantic import Field

from host.domain.ids import EpochMs
from host.domain.paging import Cursor
from host.domain.x500 import MemberX500Name
from host.ports.mgm import MgmRegistration
from host.rest.group_parameters import GivenGroupParameters, RestGroupParameters, flat_parameters
from host.rest.membership import RestRegistrationRequestStatus, registration_status
from host.rest.operation import RawText, resource
from host.rest.pages import NEXT_HEADERS, Asked, as_json, listed
from host.rest.parameters import Count, MemberName, NodeHash, Uuid
from host.rest.services import Services
from host.rest.wire import wire

router = resource("MGM")
admin_router = resource("MGM Admin")

REMARK_CHARACTERS_MAX = 1024
Remark = Annotated[str, Field(max_length=REMARK_CHARACTERS_MAX)]
"""A text of an operator that is stored, or recorded in the administrative log."""


@wire
class ManualDeclinationReason:
    """`reason` is told the member."""

    reason: Remark


@wire
class SuspensionActivationParameters:
    """A member of the group.

    `serial_number` is `corda.serial` of the member's MGM context as the operator saw it; `reason`
    stands in the administrative log.
    """

    x500_name: Annotated[str, MemberName]
    serial_number: Count | None = None
    reason: Remark | None = None


_STATUS_JSON = as_json(RestRegistrationRequestStatus)


@router.get("/mgm/{holdingidentityshorthash}/info", response_class=RawText)
def get_info(holdingidentityshorthash: NodeHash, services: Services) -> RawText:
    """Give the group policy that a CPI needs whose virtual nodes join the group of an MGM."""
    return RawText(services.mgm.info(holdingidentityshorthash))


@router.get(
    "/mgm/{holdingidentityshorthash}/registrations",
    response_model=list[RestRegistrationRequestStatus],
    responses={200: {"headers": NEXT_HEADERS}},
)
def get_mgm_registrations(
    *,
    holdingidentityshorthash: NodeHash,
    services: Services,
    request: Request,
    asked: Asked,
    requestsubjectx500name: Annotated[
        str | None, MemberName, Query(description="Name of the member.")
    ] = None,
    viewhistoric: Annotated[
        bool, Query(description="Also those that were approved, declined or invalid.")
    ] = False,
) -> Response:
    """List the registrations that an MGM has to decide on, the oldest first."""
    mgm, subject = holdingidentityshorthash, requestsubjectx500name

    def fetch(cursor: Cursor | None, limit: int) -> Sequence[MgmRegistration]:
        return services.mgm.registrations(
            mgm,
            name=None if subject is None else MemberX500Name.parse(subject),
            view_historic=viewhistoric,
            after=None if cursor is None else (EpochMs(cursor.last[0]), cursor.last[1]),
            limit=limit,
        )

    page = asked.of(f"registrations at {mgm}", fetch, lambda r: (r.sent_at, r.registration_id))
    return listed(
        request, page, lambda found: _STATUS_JSON(registration_status(found, found.member_context))
    )


@router.post(
    "/mgm/{holdingidentityshorthash}/approve/{requestid}", status_code=HTTPStatus.NO_CONTENT
)
def post_approve(holdingidentityshorthash: NodeHash, requestid: Uuid, services: Services) -> None:
    """Approve a registration that waits for an operator."""
    services.mgm.approve(holdingidentityshorthash, requestid)


@router.post(
    "/mgm/{holdingidentityshorthash}/decline/{requestid}", status_code=HTTPStatus.NO_CONTENT
)
def post_decline(
    holdingidentityshorthash: NodeHash,
    requestid: Uuid,
    request: Annotated[ManualDeclinationReason, Body(alias="manualDeclinationReason")],
    services: Services,
) -> None:
    """Decline a registration that waits for an operator; the member is told the reason."""
    services.mgm.decline(holdingidentityshorthash, requestid, request.reason)


@admin_router.post(
    "/mgmadmin/{holdingidentityshorthash}/force-decline/{requestid}",
    status_code=HTTPStatus.NO_CONTENT,
)
def post_force_decline(
    holdingidentityshorthash: NodeHash, requestid: Uuid, services: Services
) -> None:
    """Decline a registration that is stuck, in whatever status it is."""
    services.mgm.force_decline(holdingidentityshorthash, requestid)


@router.post("/mgm/{holdingidentityshorthash}/suspend", status_code=HTTPStatus.NO_CONTENT)
def post_suspend(
    holdingidentityshorthash: NodeHash,
    request: Annotated[SuspensionActivationParameters, Body(alias="suspensionParams")],
    services: Services,
) -> None:
    """Suspend a member: nobody but the MGM exchanges messages with it."""
    name = MemberX500Name.parse(request.x500_name)
    services.mgm.suspend(holdingidentityshorthash, name, request.serial_number, request.reason)


@router.post("/mgm/{holdingidentityshorthash}/activate", status_code=HTTPStatus.NO_CONTENT)
def post_activate(
    holdingidentityshorthash: NodeHash,
    request: Annotated[SuspensionActivationParameters, Body(alias="activationParams")],
    services: Services,
) -> None:
    """End the suspension of a member."""
    name = MemberX500Name.parse(request.x500_name)
    services.mgm.activate(holdingidentityshorthash, name, request.serial_number, request.reason)


@router.post("/mgm/{holdingidentityshorthash}/group-parameters")
def post_group_parameters(
    holdingidentityshorthash: NodeHash,
    request: Annotated[GivenGroupParameters, Body(alias="newGroupParameters")],
    services: Services,
) -> RestGroupParameters:
    """Replace the minimum platform version and the custom parameters of a group.

    Custom keys begin with `ext.`. Entries about notaries stay as they are.
    """
    changed = services.mgm.update_group_parameters(holdingidentityshorthash, request.parameters)
    return flat_parameters(changed.parameters)
