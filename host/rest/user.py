"""The RBAC User resource, limited to reading users and changing passwords."""

from datetime import datetime
from typing import Annotated

from fastapi import Body

from host.access import Effect, User
from host.rest.operation import resource
from host.rest.parameters import LoginName
from host.rest.services import Caller, Services
from host.rest.wire import instant, wire

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
class UserResponseType:
    id: str
    version: int
    update_timestamp: datetime
    full_name: str
    login_name: str
    enabled: bool
    sso_auth: bool
    properties: list[str]
    role_associations: list[str]
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
    return _user(services.users.change_password(caller.login_name, request.password))


@password_router.post("/user/otheruserpassword")
def post_others_password(
    request: Annotated[OtherUsersNewPassword, Body()], services: Services
) -> UserResponseType:
    """Change another user's password."""
    return _user(services.users.change_password(request.username, request.password))


@router.get("/user/{loginname}")
def get_user(loginname: LoginName, services: Services) -> UserResponseType:
    """Give a user."""
    return _user(services.users.get(loginname))


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
                id=f"{user.id}-{number}",
                permission_type=permission.effect,
                permission_string=permission.pattern,
            )
            for number, permission in enumerate(user.permissions)
        ],
    )


def _user(user: User) -> UserResponseType:
    return UserResponseType(
        id=user.id,
        version=user.version,
        update_timestamp=instant(user.updated_at),
        full_name=user.full_name,
        login_name=user.login_name,
        enabled=user.enabled,
        sso_auth=False,
        properties=[],
        role_associations=[],
    )
