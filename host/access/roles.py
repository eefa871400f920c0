"""Roles and permissions of the REST interface, in the cluster's database.

A permission belongs to any number of roles, a role to any number of users. Changes count in every
process of the cluster from its next request on.
Source: Corda 5.2, RBAC. As there, `group_visibility` is kept and shown, and judges nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sql

from host.access.errors import (
    AccessLimitError,
    AssociationExistsError,
    AssociationMissingError,
    RoleExistsError,
    RoleInvalidError,
)
from host.access.permissions import Effect, Permission
from host.access.tables import PERMISSIONS, ROLE_PERMISSIONS, ROLES
from host.access.user_rows import changed, check_role, new_id, permission_of
from host.domain.errors import NotFoundError
from host.domain.ids import EpochMs, ShortHash
from host.domain.printable import printable
from host.domain.refused import shown
from host.ports.clock import Clock, Entropy
from host.ports.database import SqlDatabase

TEXT_CHARACTERS_MAX = 255
"""Of the name of a role, and of a group visibility."""
_ROLES_MAX = 1_000
_PERMISSIONS_MAX = 100_000
_ROLE_PERMISSIONS_MAX = 1_000
BULK_MAX = 1_000
"""Permissions, and roles, of one bulk request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPermission:
    """A permission to be made."""

    permission: Permission
    group_visibility: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPermission:
    """A permission of the cluster."""

    id: str
    permission: Permission
    group_visibility: str | None
    version: int
    updated_at: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionOfRole:
    """A permission that a role holds, and since when."""

    permission_id: str
    created_at: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role and its permissions. `version` increases with each change."""

    id: str
    name: str
    group_visibility: str | None
    permissions: tuple[PermissionOfRole, ...]
    version: int
    updated_at: EpochMs


class Roles:
    """The roles and permissions of a cluster. Thread-safe."""

    def __init__(self, database: SqlDatabase, *, clock: Clock, entropy: Entropy) -> None:
        self._database = database
        self._clock = clock
        self._entropy = entropy

    def create(self, name: str, *, group_visibility: str | None) -> Role:
        """Add a role without permissions.

        Raises:
            RoleInvalidError: name or group visibility.
            RoleExistsError: the name is in use.
            AccessLimitError: there are as many roles as possible.
        """
        _check_text("the name of a role", name)
        _check_text("a group visibility", group_visibility)
        row = {
            "id": new_id(self._entropy),
            "name": name,
            "group_visibility": group_visibility,
            "version": 0,
            "updated_at": self._clock.now_ms(),
        }

        def work(connection: sql.Connection) -> None:
            _check_room(connection, ROLES, _ROLES_MAX)
            connection.execute(ROLES.insert().values(row))

        try:
            self._database.transact(work)
        except sql.exc.IntegrityError as error:
            raise RoleExistsError(f"role {name!r} exists already") from error
        return self.get(str(row["id"]))

    def get(self, role_id: str) -> Role:
        """The role of this identifier.

        Raises:
            NotFoundError: there is no such role.
        """
        with self._database.read() as connection:
            check_role(connection, role_id)
            return _roles(connection, ROLES.c.id == role_id)[0]

    def all(self) -> Sequence[Role]:
        """All roles by name, at most 1,000."""
        with self._database.read() as connection:
            return _roles(connection, sql.true())

    def create_permissions(
        self, wanted: Sequence[NewPermission], *, role_ids: Sequence[str] = ()
    ) -> Sequence[StoredPermission]:
        """Add permissions, and give each of them to each of the roles: all of it, or nothing.

        Raises:
            RoleInvalidError: a group visibility, or there are too many.
            NotFoundError: there is no such role.
            AccessLimitError: there are as many permissions as possible.
        """
        if max(len(wanted), len(role_ids)) > BULK_MAX:
            raise RoleInvalidError(
                f"{len(wanted)} permissions for {len(role_ids)} roles: at most {BULK_MAX} of each"
            )
        for each in wanted:
            _check_text("a group visibility", each.group_visibility)
        now = self._clock.now_ms()
        rows = [self._row(each, now) for each in wanted]

        def work(connection: sql.Connection) -> None:
            _check_room(connection, PERMISSIONS, _PERMISSIONS_MAX, len(rows))
            if rows:
                connection.execute(PERMISSIONS.insert(), rows)
            for role_id in dict.fromkeys(role_ids):
                _give(connection, role_id, [str(row["id"]) for row in rows], now)

        self._database.transact(work)
        return [
            StoredPermission(
                id=str(row["id"]),
                permission=each.permission,
                group_visibility=each.group_visibility,
                version=0,
                updated_at=now,
            )
            for row, each in zip(rows, wanted, strict=True)
        ]

    def permission(self, permission_id: str) -> StoredPermission:
        """The permission of this identifier.

        Raises:
            NotFoundError: there is no such permission.
        """
        with self._database.read() as connection:
            query = PERMISSIONS.select().where(PERMISSIONS.c.id == permission_id)
            row = connection.execute(query).one_or_none()
        if row is None:
            raise _no_permission(permission_id)
        return _stored(row)

    def permissions(
        self,
        effect: Effect,
        *,
        limit: int,
        group_visibility: str | None = None,
        virtual_node: ShortHash | None = None,
        prefix: str | None = None,
    ) -> Sequence[StoredPermission]:
        """Permissions of one effect in the order of their strings.

        Args:
            effect: of all of them.
            limit: how many, at most.
            group_visibility: of all of them, if given.
            virtual_node: of all of them, if given.
            prefix: with which their strings begin, if given.
        """
        query = PERMISSIONS.select().where(PERMISSIONS.c.effect == effect.value)
        if group_visibility is not None:
            query = query.where(PERMISSIONS.c.group_visibility == group_visibility)
        if virtual_node is not None:
            query = query.where(PERMISSIONS.c.virtual_node == virtual_node)
        if prefix:
            query = query.where(sql.func.substr(PERMISSIONS.c.pattern, 1, len(prefix)) == prefix)
        query = query.order_by(PERMISSIONS.c.pattern, PERMISSIONS.c.id).limit(limit)
        with self._database.read() as connection:
            return [_stored(row) for row in connection.execute(query)]

    def add_permission(self, role_id: str, permission_id: str) -> Role:
        """Give a role a permission.

        Raises:
            NotFoundError: there is no such role or permission.
            AssociationExistsError: the role has it.
            AccessLimitError: the role has as many permissions as possible.
        """
        now = self._clock.now_ms()
        return self._changed_role(
            role_id, lambda connection: _give(connection, role_id, [permission_id], now)
        )

    def remove_permission(self, role_id: str, permission_id: str) -> Role:
        """Take a permission from a role.

        Raises:
            NotFoundError: there is no such role or permission.
            AssociationMissingError: the role does not have it.
        """
        now = self._clock.now_ms()
        return self._changed_role(
            role_id, lambda connection: _take(connection, role_id, permission_id, now)
        )

    def _changed_role(self, role_id: str, work: Callable[[sql.Connection], None]) -> Role:
        self._database.transact(work)
        return self.get(role_id)

    def _row(self, wanted: NewPermission, now: EpochMs) -> dict[str, object]:
        return {
            "id": new_id(self._entropy),
            "effect": wanted.permission.effect.value,
            "pattern": wanted.permission.pattern,
            "virtual_node": wanted.permission.virtual_node,
            "group_visibility": wanted.group_visibility,
            "version": 0,
            "updated_at": now,
        }


def _check_text(what: str, text: str | None) -> None:
    if text is None:
        return
    if not 0 < len(text) <= TEXT_CHARACTERS_MAX or printable(text) != text:
        raise RoleInvalidError(
            f"{what} has 1 to {TEXT_CHARACTERS_MAX} printable characters, found {shown(text)}"
        )


def _check_room(connection: sql.Connection, table: sql.Table, most: int, more: int = 1) -> None:
    count = connection.execute(sql.select(sql.func.count()).select_from(table)).scalar_one()
    if count + more > most:
        raise AccessLimitError(f"{table.name} has {count} rows, at most {most} are taken")


def _give(
    connection: sql.Connection, role_id: str, permission_ids: Sequence[str], now: EpochMs
) -> None:
    check_role(connection, role_id)
    (role,) = _roles(connection, ROLES.c.id == role_id)
    held = {each.permission_id for each in role.permissions}
    if len(held) + len(permission_ids) > _ROLE_PERMISSIONS_MAX:
        raise AccessLimitError(
            f"role {role.name!r} has {len(held)} permissions, at most {_ROLE_PERMISSIONS_MAX} are"
            " taken"
        )
    known = sql.select(PERMISSIONS.c.id).where(PERMISSIONS.c.id.in_(permission_ids))
    found = set(connection.execute(known).scalars())
    for permission_id in permission_ids:
        if permission_id not in found:
            raise _no_permission(permission_id)
        if permission_id in held:
            raise AssociationExistsError(
                f"role {role.name!r} has permission {permission_id} already"
            )
    rows = [
        {"role_id": role_id, "permission_id": permission_id, "created_at": now}
        for permission_id in permission_ids
    ]
    if rows:
        connection.execute(ROLE_PERMISSIONS.insert(), rows)
    connection.execute(ROLES.update().where(ROLES.c.id == role_id).values(changed(now, ROLES)))


def _take(connection: sql.Connection, role_id: str, permission_id: str, now: EpochMs) -> None:
    check_role(connection, role_id)
    _check_permission(connection, permission_id)
    which = (ROLE_PERMISSIONS.c.role_id == role_id) & (
        ROLE_PERMISSIONS.c.permission_id == permission_id
    )
    if connection.execute(ROLE_PERMISSIONS.delete().where(which)).rowcount == 0:
        raise AssociationMissingError(f"role {role_id} does not have permission {permission_id}")
    connection.execute(ROLES.update().where(ROLES.c.id == role_id).values(changed(now, ROLES)))


def _check_permission(connection: sql.Connection, permission_id: str) -> None:
    query = sql.select(PERMISSIONS.c.id).where(PERMISSIONS.c.id == permission_id)
    if connection.execute(query).first() is None:
        raise _no_permission(permission_id)


def _no_permission(permission_id: str) -> NotFoundError:
    return NotFoundError(
        f"permission {shown(permission_id)} does not exist", kind="permission", named=permission_id
    )


def _roles(connection: sql.Connection, which: sql.ColumnElement[bool]) -> Sequence[Role]:
    held: dict[str, list[PermissionOfRole]] = {}
    query = (
        sql.select(ROLE_PERMISSIONS)
        .join(ROLES, ROLES.c.id == ROLE_PERMISSIONS.c.role_id)
        .where(which)
        .order_by(ROLE_PERMISSIONS.c.created_at, ROLE_PERMISSIONS.c.permission_id)
    )
    for row in connection.execute(query):
        held.setdefault(row.role_id, []).append(
            PermissionOfRole(permission_id=row.permission_id, created_at=row.created_at)
        )
    return [
        Role(
            id=row.id,
            name=row.name,
            group_visibility=row.group_visibility,
            permissions=tuple(held.get(row.id, ())),
            version=row.version,
            updated_at=row.updated_at,
        )
        for row in connection.execute(ROLES.select().where(which).order_by(ROLES.c.name))
    ]


def _stored(row: sql.Row[tuple[object, ...]]) -> StoredPermission:
    return StoredPermission(
        id=row.id,
        permission=permission_of(row),
        group_visibility=row.group_visibility,
        version=row.version,
        updated_at=row.updated_at,
    )
