"""Users, roles and permissions of a running host, for commands."""

from collections.abc import Sequence
from typing import Any, TypedDict

from host.domain.errors import NotFoundError
from host.domain.json import JsonObject, JsonValue
from host.tools.client.answers import parsed, shaped
from host.tools.client.cluster_facts import ClusterAnswerError
from host.tools.client.host_client import HostClient


class PermissionHeld(TypedDict):
    id: str


class RoleShown(TypedDict):
    id: str
    roleName: str
    permissions: list[PermissionHeld]


class PermissionShown(TypedDict):
    id: str
    virtualNode: str | None
    permissionString: str


class PermissionSummed(TypedDict):
    permissionType: str
    virtualNode: str | None
    permissionString: str


class PermissionSummary(TypedDict):
    permissions: list[PermissionSummed]


class RoleAssociation(TypedDict):
    roleId: str


class UserShown(TypedDict):
    loginName: str
    fullName: str
    enabled: bool
    passwordExpiry: str | None
    roleAssociations: list[RoleAssociation]


class PermissionsCreated(TypedDict):
    permissionIds: list[str]


def roles(client: HostClient) -> Sequence[RoleShown]:
    """All roles by name; raises the errors of `HostClient.get`."""
    return shaped(client.get("/role"), list[RoleShown], "/role")


def role_id(client: HostClient, role: str) -> str:
    """The identifier of a role that is named by it or by its name.

    Raises:
        NotFoundError: there is no such role.
    """
    for each in roles(client):
        if role in (each["id"], each["roleName"]):
            return each["id"]
    raise NotFoundError(f"the host has no role {role!r:.255}", kind="role", named=role)


def changed(client: HostClient, method: str, path: str) -> Any:
    """What the host answers to a change without a body; raises the errors of `HostClient.get`."""
    return parsed(client.send(method, path), f"{client.url}{path}")


def permission_created(client: HostClient, wanted: JsonObject, role_names: Sequence[str]) -> str:
    """Make a permission, give it to roles, and return its identifier.

    Raises:
        NotFoundError: there is no such role; nothing is made.
    """
    ids: list[JsonValue] = [role_id(client, name) for name in role_names]
    path = "/permission/bulk"
    answer = client.post(path, {"permissionsToCreate": [dict(wanted)], "roleIds": ids})
    made = shaped(answer, PermissionsCreated, path)["permissionIds"]
    if not made:
        raise ClusterAnswerError(f"{path} answers without the identifier of what it made")
    return made[0]
