"""The Member Lookup resource: a group as one of its members sees it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated

from fastapi import Depends, Query, Request, Response

from host.domain.errors import RequestInvalidError
from host.domain.ids import HoldingIdentity
from host.domain.membership import MemberInfo, MemberStatus
from host.domain.paging import Cursor
from host.domain.refused import shown
from host.rest.group_parameters import RestGroupParameters, flat_parameters
from host.rest.operation import resource
from host.rest.pages import NEXT_HEADERS, Asked, as_json, listed
from host.rest.parameters import NodeHash, UpperCase
from host.rest.services import RestServices, Services
from host.rest.wire import wire

router = resource("Member Lookup")

_PORTION = 200

_ATTRIBUTES = ("common_name", "organization", "organization_unit", "locality", "state", "country")


@wire
class RestMemberInfo:
    member_context: Mapping[str, str | None]
    mgm_context: Mapping[str, str | None]


@wire
class RestMemberInfoList:
    members: list[RestMemberInfo]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberFilter:
    """The filter of a look-up: name attributes compared without case, and statuses."""

    attributes: Mapping[str, str]
    statuses: frozenset[MemberStatus]

    def accepts(self, member: MemberInfo) -> bool:
        return member.status in self.statuses and all(
            (getattr(member.name, attribute) or "").casefold() == value.casefold()
            for attribute, value in self.attributes.items()
        )


def member_filter(
    *,
    cn: str | None = None,
    o: str | None = None,
    ou: str | None = None,
    l: str | None = None,  # noqa: E741  # Corda's name of the query key
    st: str | None = None,
    c: str | None = None,
    statuses: Annotated[list[Annotated[str, UpperCase]] | None, Query()] = None,
) -> MemberFilter:
    """The filter in a request's query.

    Raises:
        InvalidInputError: a status that does not exist.
    """
    given = zip(_ATTRIBUTES, (cn, o, ou, l, st, c), strict=True)
    return MemberFilter(
        attributes={attribute: value for attribute, value in given if value is not None},
        statuses=frozenset(_status(s) for s in statuses or [MemberStatus.ACTIVE]),
    )


def _status(text: str) -> MemberStatus:
    try:
        return MemberStatus(text)
    except ValueError as error:
        raise RequestInvalidError(
            f"member status {shown(text)} is none of {', '.join(MemberStatus)}"
        ) from error


_MEMBER_JSON = as_json(RestMemberInfo)


@router.get(
    "/members/{holdingidentityshorthash}",
    response_model=RestMemberInfoList,
    responses={200: {"headers": NEXT_HEADERS}},
)
def get_members(
    *,
    holdingidentityshorthash: NodeHash,
    wanted: Annotated[MemberFilter, Depends(member_filter)],
    services: Services,
    request: Request,
    asked: Asked,
) -> Response:
    """List the members of the group by name, by attributes of their names and by status."""
    viewer = services.virtual_node(holdingidentityshorthash).holding

    def fetch(cursor: Cursor | None, limit: int) -> Sequence[MemberInfo]:
        after = "" if cursor is None else cursor.last[1]
        return found_members(services, viewer, wanted, after, limit)

    page = asked.of(f"members of {viewer.short_hash}", fetch, lambda m: (0, str(m.name)))
    return listed(request, page, lambda m: _MEMBER_JSON(_info(m)), member="members")


@router.get("/members/{holdingidentityshorthash}/group-parameters")
def get_group_parameters(
    holdingidentityshorthash: NodeHash, services: Services
) -> RestGroupParameters:
    """Give the parameters of the group."""
    viewer = services.virtual_node(holdingidentityshorthash).holding
    return flat_parameters(services.members.parameters(viewer).parameters)


def found_members(
    services: RestServices, viewer: HoldingIdentity, wanted: MemberFilter, after: str, limit: int
) -> Sequence[MemberInfo]:
    """The first `limit` members after a name that a filter accepts."""
    found = _from(services, viewer, wanted.statuses, after)
    return list(islice(filter(wanted.accepts, found), limit))


def _from(
    services: RestServices, viewer: HoldingIdentity, statuses: frozenset[MemberStatus], after: str
) -> Iterator[MemberInfo]:
    """The members after a name, read in portions: a group may be larger than memory."""
    while True:
        found = services.members.listed(viewer, statuses, after=after, limit=_PORTION)
        yield from found
        if len(found) < _PORTION:
            return
        after = str(found[-1].name)


def _info(member: MemberInfo) -> RestMemberInfo:
    return RestMemberInfo(
        member_context=dict(member.member_context), mgm_context=dict(member.mgm_context)
    )
