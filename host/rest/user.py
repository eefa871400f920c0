"""The RBAC User resource: users, their passwords and roles."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import Body

from host.access import Effect, User
from host.access.errors import UserInvalidError
from host.access.passwords import check_length
from host.rest.operation import resource
from host.rest.parameters import Instant, IsUuid, LoginName, Uuid
from host.rest.services import Caller, Services
from host.rest.wire import instant, millis, wire

router = resource("RBAC User")
password_router = resource("RBAC User")


@wire
class NewPassword:
    password: str


@wire
class OtherUsersNewPassword:
    username: str
    password: str


@wire
class CreateUserType:
    """A user without an initial password signs in by the host's identity provider."""

    login_name: str
    full_name: str
    enabled: bool
    initial_password: str | None = None
    parent_group: Annotated[str, IsUuid] | None = None
    password_expiry: Instant | None = None


@wire
class PropertyResponseType:
    key: str
    value: str
    last_changed_timestamp: datetime


@wire
class RoleAssociationResponseType:
    role_id: str
    create_timestamp: datetime


@wire
class UserResponseType:
    id: str
    version: int
    update_timestamp: datetime
    full_name: str
    login_name: str
    enabled: bool
    sso_auth: bool
    properties: list[PropertyResponseType]
    role_associations: list[RoleAssociationResponseType]
    password_expiry: datetime | None = None
    parent_group: str | None = None


@wire
class PermissionSummaryResponseType:
    id: str
    permission_type: Effect
    permission_string: str
    group_visibility: str | None = None
    virtual_node: str | None = None


@wire
class UserPermissionSummaryResponseType:
    login_name: str
    enabled: bool
    permissions: list[PermissionSummaryResponseType]
    last_update_timestamp: datetime


@password_router.post("/user/selfpassword")
def post_own_password(
    request: Annotated[NewPassword, Body()], caller: Caller, services: Services
) -> UserResponseType:
    """Change the caller's own password."""
    rules = services.password_rules.get()
    check_length(request.password, rules.characters_max)
    changed = services.users.change_password(
        caller.login_name, request.password, valid_days=rules.by_user
    )
    return user_response(changed)


@password_router.post("/user/otheruserpassword")
def post_others_password(
    request: Annotated[OtherUsersNewPassword, Body()], services: Services
) -> UserResponseType:
    """Change another user's password."""
    rules = services.password_rules.get()
    check_length(request.password, rules.characters_max)
    changed = services.users.change_password(
        request.username, request.password, valid_days=rules.by_other
    )
    return user_response(changed)


@router.post("/user", status_code=HTTPStatus.CREATED)
def post_user(
    request: Annotated[CreateUserType, Body(alias="request")], services: Services
) -> UserResponseType:
    """Create a user, who may do nothing until roles are assigned."""
    if request.initial_password is not None:
        check_length(request.initial_password, services.password_rules.get().characters_max)
    elif not services.has_identity_provider:
        raise UserInvalidError("initialPassword is missing: users sign in by password alone")
    return user_response(
        services.users.create(
            request.login_name,
            request.initial_password,
            full_name=request.full_name,
            enabled=request.enabled,
            password_expiry=millis(request.password_expiry),
            parent_group=request.parent_group,
        )
    )


@router.put("/user/{loginname}/role/{roleid}")
def put_user_role(loginname: LoginName, roleid: Uuid, services: Services) -> UserResponseType:
    """Assign a role to a user."""
    return user_response(services.users.assign_role(loginname, roleid))


@router.delete("/user/{loginname}/role/{roleid}")
def delete_user_role(loginname: LoginName, roleid: Uuid, services: Services) -> UserResponseType:
    """Remove a role from a user."""
    return user_response(services.users.remove_role(loginname, roleid))


@router.get("/user/{loginname}")
def get_user(loginname: LoginName, services: Services) -> UserResponseType:
    """Give a user."""
    return user_response(services.users.get(loginname))


@router.get("/user/{loginname}/permissionsummary")
def get_permissions(loginname: LoginName, services: Services) -> UserPermissionSummaryResponseType:
    """Give a user's permissions."""
    user = services.users.get(loginname)
    return UserPermissionSummaryResponseType(
        login_name=user.login_name,
        enabled=user.enabled,
        last_update_timestamp=instant(user.updated_at),
        permissions=[
            PermissionSummaryResponseType(
                id=each.id,
                permission_type=each.permission.effect,
                permission_string=each.permission.pattern,
                group_visibility=each.group_visibility,
                virtual_node=each.permission.virtual_node,
            )
            for each in user.granted
        ],
    )


def user_response(user: User) -> UserResponseType:
    """A user on the wire."""
    return UserResponseType(
        id=user.id,
        version=user.version,
        update_timestamp=instant(user.updated_at),
        full_name=user.full_name,
        login_name=user.login_name,
        enabled=user.enabled,
        sso_auth=user.sso,
        parent_group=user.parent_group,
        password_expiry=None if user.password_expiry is None else instant(user.password_expiry),
        properties=[
            PropertyResponseType(
                key=each.key, value=each.value, last_changed_timestamp=instant(each.changed_at)
            )
            for each in user.properties
        ],
        role_associations=[
            RoleAssociationResponseType(
                role_id=each.role_id, create_timestamp=instant(each.created_at)
            )
            for each in user.roles
        ],
    )
