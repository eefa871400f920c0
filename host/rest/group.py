"""The RBAC Group resource of version 5.3: groups of users, and who is in them."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import Body

from host.access.groups import Group
from host.rest.operation import resource
from host.rest.parameters import IsUuid, LoginName, Uuid
from host.rest.services import Services
from host.rest.user import (
    PropertyResponseType,
    RoleAssociationResponseType,
    UserResponseType,
    user_response,
)
from host.rest.wire import instant, wire

router = resource("RBAC Group")
user_router = resource("RBAC User")


@wire
class CreateGroupType:
    name: str
    parent_group_id: Annotated[str, IsUuid] | None = None


@wire
class GroupResponseType:
    """`properties` is always empty: nothing sets any."""

    id: str
    name: str
    version: int
    update_timestamp: datetime
    role_associations: list[RoleAssociationResponseType]
    properties: list[PropertyResponseType]
    parent_group_id: str | None = None


@wire
class GroupContentResponseType:
    """`users` are login names, `subgroups` identifiers of groups."""

    id: str
    name: str
    update_timestamp: datetime
    role_associations: list[RoleAssociationResponseType]
    properties: list[PropertyResponseType]
    users: list[str]
    subgroups: list[str]
    parent_group_id: str | None = None


@router.post("/group", status_code=HTTPStatus.CREATED)
def post_group(
    request: Annotated[CreateGroupType, Body(alias="request")], services: Services
) -> GroupResponseType:
    """Create a group without roles."""
    return _response(services.groups.create(request.name, parent_group=request.parent_group_id))


@router.get("/group/{groupid}")
def get_group(groupid: Uuid, services: Services) -> GroupContentResponseType:
    """Give a group, and the users and groups in it."""
    found = services.groups.content(groupid)
    return GroupContentResponseType(
        id=found.group.id,
        name=found.group.name,
        update_timestamp=instant(found.group.updated_at),
        role_associations=_roles(found.group),
        properties=[],
        users=list(found.users),
        subgroups=list(found.subgroups),
        parent_group_id=found.group.parent_group,
    )


@router.delete("/group/{groupid}")
def delete_group(groupid: Uuid, services: Services) -> GroupResponseType:
    """Delete a group in which no users and no groups are."""
    return _response(services.groups.delete(groupid))


@router.put("/group/{groupid}/parent/changeparentid/{newparentgroupid}")
def put_group_parent(
    groupid: Uuid, newparentgroupid: Uuid, services: Services
) -> GroupResponseType:
    """Put a group into another one."""
    return _response(services.groups.change_parent(groupid, newparentgroupid))


@router.put("/group/{groupid}/role/{roleid}")
def put_group_role(groupid: Uuid, roleid: Uuid, services: Services) -> GroupResponseType:
    """Assign a role to a group; it counts for its users from their next request on."""
    return _response(services.groups.assign_role(groupid, roleid))


@router.delete("/group/{groupid}/role/{roleid}")
def delete_group_role(groupid: Uuid, roleid: Uuid, services: Services) -> GroupResponseType:
    """Remove a role from a group."""
    return _response(services.groups.remove_role(groupid, roleid))


@user_router.put("/user/{loginname}/parent/changeparentid/{newparentgroupid}")
def put_user_parent(
    loginname: LoginName, newparentgroupid: Uuid, services: Services
) -> UserResponseType:
    """Put a user into another group."""
    return user_response(services.users.change_group(loginname, newparentgroupid))


def _response(group: Group) -> GroupResponseType:
    return GroupResponseType(
        id=group.id,
        name=group.name,
        version=group.version,
        update_timestamp=instant(group.updated_at),
        role_associations=_roles(group),
        properties=[],
        parent_group_id=group.parent_group,
    )


def _roles(group: Group) -> list[RoleAssociationResponseType]:
    return [
        RoleAssociationResponseType(role_id=each.role_id, create_timestamp=instant(each.created_at))
        for each in group.roles
    ]
