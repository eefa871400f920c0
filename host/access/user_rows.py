"""What belongs to a user in the cluster's database: roles, their permissions, properties.

Functions on the connection of a caller's transaction.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sql

from host.access.errors import (
    AccessLimitError,
    AssociationExistsError,
    AssociationMissingError,
    UserInvalidError,
)
from host.access.permissions import Effect, Permission
from host.access.tables import (
    GROUP_ROLES,
    GROUPS,
    PERMISSIONS,
    PROPERTIES,
    ROLE_PERMISSIONS,
    ROLES,
    USER_ROLES,
    USERS,
)
from host.domain.errors import NotFoundError
from host.domain.ids import EpochMs
from host.domain.refused import shown
from host.ports.clock import Entropy

USER_ROLES_MAX = 100
GROUPS_DEEP_MAX = 16
"""Groups in each other."""
_PROPERTIES_MAX = 100
_FOUND_MAX = 1_000
"""Users of one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedPermission:
    """A permission of a user, with its identifier."""

    id: str
    permission: Permission
    group_visibility: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleOfUser:
    """A role that a user has, and since when."""

    role_id: str
    created_at: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class UserProperty:
    """A text that clients keep with a user; nothing here reads it."""

    key: str
    value: str
    changed_at: EpochMs


def new_id(entropy: Entropy) -> str:
    """A random identifier, as a UUID."""
    return str(uuid.UUID(bytes=entropy.random_bytes(16), version=4))


def changed(now: EpochMs, table: sql.Table) -> Mapping[str, object]:
    """The columns of a row that was changed."""
    return {"version": table.c.version + 1, "updated_at": now}


def assign_role(connection: sql.Connection, login: str, role_id: str, now: EpochMs) -> None:
    """Give a user a role.

    Raises:
        NotFoundError: there is no such role.
        AssociationExistsError: the user has it.
        AccessLimitError: the user has as many roles as possible.
    """
    check_role(connection, role_id)
    having = [role.role_id for role in roles_of_user(connection, login)]
    if role_id in having:
        raise AssociationExistsError(f"user {login!r} has role {role_id} already")
    if len(having) >= USER_ROLES_MAX:
        raise AccessLimitError(f"user {login!r} has {len(having)} roles, the most that are taken")
    row = {"login_name": login, "role_id": role_id, "created_at": now}
    connection.execute(USER_ROLES.insert().values(row))
    _touch(connection, login, now)


def remove_role(connection: sql.Connection, login: str, role_id: str, now: EpochMs) -> None:
    """Take a role from a user.

    Raises:
        NotFoundError: there is no such role.
        AssociationMissingError: the user does not have it.
    """
    check_role(connection, role_id)
    which = (USER_ROLES.c.login_name == login) & (USER_ROLES.c.role_id == role_id)
    if connection.execute(USER_ROLES.delete().where(which)).rowcount == 0:
        raise AssociationMissingError(f"user {login!r} does not have role {role_id}")
    _touch(connection, login, now)


def delete_user(connection: sql.Connection, login: str) -> None:
    """Remove a user with roles and properties."""
    for table in (USER_ROLES, PROPERTIES, USERS):
        connection.execute(table.delete().where(table.c.login_name == login))


def set_properties(
    connection: sql.Connection, login: str, values: Mapping[str, str], now: EpochMs
) -> None:
    """Add properties to a user, or replace their values.

    Raises:
        UserInvalidError: the user would have too many.
    """
    kept = {held.key for held in properties_of_user(connection, login)} - values.keys()
    if len(kept) + len(values) > _PROPERTIES_MAX:
        raise UserInvalidError(f"a user has at most {_PROPERTIES_MAX} properties")
    for key, value in values.items():
        _delete_property(connection, login, key)
        row = {"login_name": login, "key": key, "value": value, "changed_at": now}
        connection.execute(PROPERTIES.insert().values(row))
    _touch(connection, login, now)


def remove_property(connection: sql.Connection, login: str, key: str, now: EpochMs) -> None:
    """Remove a property of a user.

    Raises:
        NotFoundError: the user does not have it.
    """
    if _delete_property(connection, login, key) == 0:
        raise NotFoundError(
            f"user {login!r} has no property {shown(key)}", kind="property", named=key
        )
    _touch(connection, login, now)


def roles_of_user(connection: sql.Connection, login: str) -> tuple[RoleOfUser, ...]:
    """The roles of a user, the oldest first."""
    rows = connection.execute(
        USER_ROLES.select()
        .where(USER_ROLES.c.login_name == login)
        .order_by(USER_ROLES.c.created_at, USER_ROLES.c.role_id)
    )
    return tuple(RoleOfUser(role_id=row.role_id, created_at=row.created_at) for row in rows)


def properties_of_user(connection: sql.Connection, login: str) -> tuple[UserProperty, ...]:
    """The properties of a user, by key."""
    rows = connection.execute(
        PROPERTIES.select().where(PROPERTIES.c.login_name == login).order_by(PROPERTIES.c.key)
    )
    return tuple(
        UserProperty(key=row.key, value=row.value, changed_at=row.changed_at) for row in rows
    )


def granted_by_roles(
    connection: sql.Connection, login: str, group_id: str | None
) -> tuple[GrantedPermission, ...]:
    """The permissions that the roles of a user and of the groups above hold, each once."""
    own = sql.select(USER_ROLES.c.role_id).where(USER_ROLES.c.login_name == login)
    above = groups_above(connection, group_id)
    if above:
        theirs = sql.select(GROUP_ROLES.c.role_id).where(GROUP_ROLES.c.group_id.in_(above))
        roles = sql.union(own, theirs).subquery()
    else:
        roles = own.subquery()
    query = (
        sql.select(PERMISSIONS)
        .distinct()
        .join(ROLE_PERMISSIONS, ROLE_PERMISSIONS.c.permission_id == PERMISSIONS.c.id)
        .where(ROLE_PERMISSIONS.c.role_id.in_(sql.select(roles.c.role_id)))
        .order_by(PERMISSIONS.c.id)
    )
    return tuple(
        GrantedPermission(
            id=row.id, permission=permission_of(row), group_visibility=row.group_visibility
        )
        for row in connection.execute(query)
    )


def set_group(connection: sql.Connection, login: str, group_id: str, now: EpochMs) -> None:
    """Put a user into a group.

    Raises:
        NotFoundError: there is no such group.
    """
    check_group(connection, group_id)
    values = {"parent_group": group_id, **changed(now, USERS)}
    connection.execute(USERS.update().where(USERS.c.login_name == login).values(values))


def groups_above(connection: sql.Connection, group_id: str | None) -> list[str]:
    """A group, the group that it is in, and so on; at most `GROUPS_DEEP_MAX`."""
    found: list[str] = []
    while group_id is not None and len(found) < GROUPS_DEEP_MAX:
        found.append(group_id)
        query = sql.select(GROUPS.c.parent_group).where(GROUPS.c.id == group_id)
        group_id = connection.execute(query).scalar_one_or_none()
    return found


def check_group(connection: sql.Connection, group_id: str) -> None:
    """Refuse an identifier that no group has.

    Raises:
        NotFoundError: there is no such group.
    """
    found = connection.execute(sql.select(GROUPS.c.id).where(GROUPS.c.id == group_id)).first()
    if found is None:
        raise NotFoundError(f"group {shown(group_id)} does not exist", kind="group", named=group_id)


def rows_having(key: str, value: str) -> sql.Select[tuple[object, ...]]:
    """The rows of users with this value of a property, by login name."""
    return (
        USERS.select()
        .join(PROPERTIES, PROPERTIES.c.login_name == USERS.c.login_name)
        .where((PROPERTIES.c.key == key) & (PROPERTIES.c.value == value))
        .order_by(USERS.c.login_name)
        .limit(_FOUND_MAX)
    )


def permission_of(row: sql.Row[tuple[object, ...]]) -> Permission:
    """The permission that a row of `rest_permission` holds."""
    return Permission(effect=Effect(row.effect), pattern=row.pattern, virtual_node=row.virtual_node)


def check_role(connection: sql.Connection, role_id: str) -> None:
    """Refuse an identifier that no role has.

    Raises:
        NotFoundError: there is no such role.
    """
    found = connection.execute(sql.select(ROLES.c.id).where(ROLES.c.id == role_id)).first()
    if found is None:
        raise NotFoundError(f"role {shown(role_id)} does not exist", kind="role", named=role_id)


def _delete_property(connection: sql.Connection, login: str, key: str) -> int:
    which = (PROPERTIES.c.login_name == login) & (PROPERTIES.c.key == key)
    return connection.execute(PROPERTIES.delete().where(which)).rowcount


def _touch(connection: sql.Connection, login: str, now: EpochMs) -> None:
    connection.execute(
        USERS.update().where(USERS.c.login_name == login).values(changed(now, USERS))
    )
