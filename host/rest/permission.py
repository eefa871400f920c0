"""The RBAC Permission resource."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import Body, Query

from host.access import Effect, Permission
from host.access.roles import NewPermission, StoredPermission
from host.domain.ids import parse_short_hash
from host.rest.operation import resource
from host.rest.parameters import IsUuid, NodeHashQuery, PermissionTypeQuery, Uuid
from host.rest.services import Services
from host.rest.wire import instant, wire

router = resource("RBAC Permission")


@wire
class CreatePermissionType:
    """A regular expression of actions that is allowed or denied.

    With `virtualNode`, a short hash, it concerns the actions on that virtual node only.
    """

    permission_type: Effect
    permission_string: str
    group_visibility: str | None = None
    virtual_node: str | None = None


@wire
class BulkCreatePermissionsRequestType:
    """All permissions are made and given to each of the roles, or none is."""

    permissions_to_create: list[CreatePermissionType]
    role_ids: list[Annotated[str, IsUuid]]


@wire
class BulkCreatePermissionsResponseType:
    permission_ids: list[str]
    role_ids: list[str]


@wire
class PermissionResponseType:
    id: str
    version: int
    update_timestamp: datetime
    permission_type: Effect
    permission_string: str
    group_visibility: str | None = None
    virtual_node: str | None = None


@router.get("/permission")
def get_permissions(
    *,
    limit: Annotated[int, Query(ge=1, le=1000)],
    permissiontype: PermissionTypeQuery,
    services: Services,
    groupvisibility: Annotated[str | None, Query()] = None,
    virtualnode: NodeHashQuery = None,
    permissionstringprefix: Annotated[str | None, Query()] = None,
) -> list[PermissionResponseType]:
    """Find permissions of one type, in the order of their strings."""
    found = services.roles.permissions(
        permissiontype,
        limit=limit,
        group_visibility=groupvisibility,
        virtual_node=virtualnode,
        prefix=permissionstringprefix,
    )
    return [_response(each) for each in found]


@router.post("/permission", status_code=HTTPStatus.CREATED)
def post_permission(
    request: Annotated[CreatePermissionType, Body(alias="request")], services: Services
) -> PermissionResponseType:
    """Create a permission, which counts once a role has it."""
    (made,) = services.roles.create_permissions(_wanted([request]))
    return _response(made)


@router.post("/permission/bulk", status_code=HTTPStatus.CREATED)
def post_permissions(
    request: Annotated[BulkCreatePermissionsRequestType, Body(alias="request")],
    services: Services,
) -> BulkCreatePermissionsResponseType:
    """Create permissions and give them to existing roles: all of it, or nothing."""
    made = services.roles.create_permissions(
        _wanted(request.permissions_to_create), role_ids=request.role_ids
    )
    return BulkCreatePermissionsResponseType(
        permission_ids=[each.id for each in made], role_ids=list(dict.fromkeys(request.role_ids))
    )


@router.get("/permission/{id}")
def get_permission(
    id: Uuid,  # noqa: A002  # Corda's name
    services: Services,
) -> PermissionResponseType:
    """Give a permission."""
    return _response(services.roles.permission(id))


def _wanted(requests: Sequence[CreatePermissionType]) -> Sequence[NewPermission]:
    return [
        NewPermission(
            permission=Permission(
                effect=each.permission_type,
                pattern=each.permission_string,
                virtual_node=parse_short_hash(each.virtual_node) if each.virtual_node else None,
            ),
            group_visibility=each.group_visibility,
        )
        for each in requests
    ]


def _response(stored: StoredPermission) -> PermissionResponseType:
    return PermissionResponseType(
        id=stored.id,
        version=stored.version,
        update_timestamp=instant(stored.updated_at),
        permission_type=stored.permission.effect,
        permission_string=stored.permission.pattern,
        group_visibility=stored.group_visibility,
        virtual_node=stored.permission.virtual_node,
    )
