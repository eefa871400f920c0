"""The RBAC Role resource."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import Body

from host.access.roles import Role
from host.rest.operation import resource
from host.rest.parameters import Uuid
from host.rest.services import Services
from host.rest.wire import instant, wire

router = resource("RBAC Role")


@wire
class CreateRoleType:
    """`groupVisibility` is kept and shown; as in Corda, nothing is judged by it."""

    role_name: str
    group_visibility: str | None = None


@wire
class PermissionAssociationResponseType:
    id: str
    created_timestamp: datetime


@wire
class RoleResponseType:
    id: str
    version: int
    update_timestamp: datetime
    role_name: str
    permissions: list[PermissionAssociationResponseType]
    group_visibility: str | None = None


@router.get("/role")
def get_roles(services: Services) -> list[RoleResponseType]:
    """List all roles."""
    return [_response(role) for role in services.roles.all()]


@router.post("/role", status_code=HTTPStatus.CREATED)
def post_role(
    request: Annotated[CreateRoleType, Body(alias="request")], services: Services
) -> RoleResponseType:
    """Create a role without permissions."""
    made = services.roles.create(request.role_name, group_visibility=request.group_visibility)
    return _response(made)


@router.get("/role/{id}")
def get_role(id: Uuid, services: Services) -> RoleResponseType:  # noqa: A002  # Corda's name
    """Give a role."""
    return _response(services.roles.get(id))


@router.put("/role/{roleid}/permission/{permissionid}")
def put_role_permission(roleid: Uuid, permissionid: Uuid, services: Services) -> RoleResponseType:
    """Add a permission to a role; it counts for its users from their next request on."""
    return _response(services.roles.add_permission(roleid, permissionid))


@router.delete("/role/{roleid}/permission/{permissionid}")
def delete_role_permission(
    roleid: Uuid, permissionid: Uuid, services: Services
) -> RoleResponseType:
    """Remove a permission from a role."""
    return _response(services.roles.remove_permission(roleid, permissionid))


def _response(role: Role) -> RoleResponseType:
    return RoleResponseType(
        id=role.id,
        version=role.version,
        update_timestamp=instant(role.updated_at),
        role_name=role.name,
        group_visibility=role.group_visibility,
        permissions=[
            PermissionAssociationResponseType(
                id=each.permission_id, created_timestamp=instant(each.created_at)
            )
            for each in role.permissions
        ],
    )
