"""Groups of users, in the cluster's database: whoever is in one has its roles.

A group may be in another one; the roles of that one count as well. Changes count in every process
of the cluster from its next request on. Source: Corda 5.3, RBAC.
"""

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sql

from host.access.errors import (
    AccessLimitError,
    AssociationExistsError,
    AssociationMissingError,
    GroupNestingError,
    GroupNotEmptyError,
    RoleExistsError,
    RoleInvalidError,
)
from host.access.tables import GROUP_ROLES, GROUPS, USERS
from host.access.user_rows import (
    GROUPS_DEEP_MAX,
    USER_ROLES_MAX,
    RoleOfUser,
    changed,
    check_group,
    check_role,
    groups_above,
    new_id,
)
from host.domain.ids import EpochMs
from host.domain.printable import printable
from host.domain.refused import shown
from host.ports.clock import Clock, Entropy
from host.ports.database import SqlDatabase

_NAME_CHARACTERS_MAX = 255
_GROUPS_MAX = 1_000
_LISTED_MAX = 1_000
"""Users of one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group and its roles. `version` increases with each change."""

    id: str
    name: str
    parent_group: str | None
    roles: tuple[RoleOfUser, ...]
    version: int
    updated_at: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupContent:
    """What is in a group itself: login names, at most 1,000, and identifiers of groups."""

    group: Group
    users: tuple[str, ...]
    subgroups: tuple[str, ...]


class Groups:
    """The groups of a cluster. Thread-safe."""

    def __init__(self, database: SqlDatabase, *, clock: Clock, entropy: Entropy) -> None:
        self._database = database
        self._clock = clock
        self._entropy = entropy

    def create(self, name: str, *, parent_group: str | None = None) -> Group:
        """Add a group without roles, in another group or in none.

        Raises:
            RoleInvalidError: the name.
            RoleExistsError: the name is in use.
            NotFoundError: there is no such parent.
            GroupNestingError: the parent is in too many groups.
            AccessLimitError: there are as many groups as possible.
        """
        if not 0 < len(name) <= _NAME_CHARACTERS_MAX or printable(name) != name:
            raise RoleInvalidError(
                f"the name of a group has 1 to {_NAME_CHARACTERS_MAX} printable characters,"
                f" found {shown(name)}"
            )
        group_id = new_id(self._entropy)
        row = {
            "id": group_id,
            "name": name,
            "parent_group": parent_group,
            "version": 0,
            "updated_at": self._clock.now_ms(),
        }

        def work(connection: sql.Connection) -> None:
            count = sql.select(sql.func.count()).select_from(GROUPS)
            if connection.execute(count).scalar_one() >= _GROUPS_MAX:
                raise AccessLimitError(f"there are {_GROUPS_MAX} groups, the most that are taken")
            if parent_group is not None:
                check_group(connection, parent_group)
                _check_depth(connection, parent_group, below=1)
            connection.execute(GROUPS.insert().values(row))

        try:
            self._database.transact(work)
        except sql.exc.IntegrityError as error:
            raise RoleExistsError(f"group {name!r} exists already") from error
        return self.get(group_id)

    def get(self, group_id: str) -> Group:
        """The group of this identifier.

        Raises:
            NotFoundError: there is no such group.
        """
        with self._database.read() as connection:
            return _group(connection, group_id)

    def content(self, group_id: str) -> GroupContent:
        """The group of this identifier, and what is in it.

        Raises:
            NotFoundError: there is no such group.
        """
        users = (
            sql.select(USERS.c.login_name)
            .where(USERS.c.parent_group == group_id)
            .order_by(USERS.c.login_name)
            .limit(_LISTED_MAX)
        )
        with self._database.read() as connection:
            return GroupContent(
                group=_group(connection, group_id),
                users=tuple(connection.execute(users).scalars()),
                subgroups=tuple(_subgroups(connection, group_id)),
            )

    def delete(self, group_id: str) -> Group:
        """Remove a group in which nothing is, and give it as it was.

        Raises:
            NotFoundError: there is no such group.
            GroupNotEmptyError: users or groups are in it.
        """

        def work(connection: sql.Connection) -> Group:
            group = _group(connection, group_id)
            inside = sql.select(USERS.c.login_name).where(USERS.c.parent_group == group_id)
            if connection.execute(inside.limit(1)).first() or _subgroups(connection, group_id):
                raise GroupNotEmptyError(f"group {group.name!r} holds users or groups")
            connection.execute(GROUP_ROLES.delete().where(GROUP_ROLES.c.group_id == group_id))
            connection.execute(GROUPS.delete().where(GROUPS.c.id == group_id))
            return group

        return self._database.transact(work)

    def change_parent(self, group_id: str, parent_group: str) -> Group:
        """Put a group into another one.

        Raises:
            NotFoundError: there is no such group.
            GroupNestingError: the group would be in itself, or in too many others.
        """

        def work(connection: sql.Connection, _now: EpochMs) -> None:
            check_group(connection, parent_group)
            if group_id in groups_above(connection, parent_group):
                raise GroupNestingError(
                    f"group {group_id} cannot be in group {parent_group}, which is the same or"
                    " is in it"
                )
            _check_depth(connection, parent_group, below=_depth_below(connection, group_id))
            values = {"parent_group": parent_group}
            connection.execute(GROUPS.update().where(GROUPS.c.id == group_id).values(values))

        return self._changed(group_id, work)

    def assign_role(self, group_id: str, role_id: str) -> Group:
        """Give a group a role, which counts for whoever is in it, or in a group in it.

        Raises:
            NotFoundError: there is no such group or role.
            AssociationExistsError: the group has the role.
            AccessLimitError: the group has as many roles as possible.
        """

        def work(connection: sql.Connection, now: EpochMs) -> None:
            check_role(connection, role_id)
            having = [role.role_id for role in _group(connection, group_id).roles]
            if role_id in having:
                raise AssociationExistsError(f"group {group_id} has role {role_id} already")
            if len(having) >= USER_ROLES_MAX:
                raise AccessLimitError(f"group {group_id} has {len(having)} roles, the maximum")
            row = {"group_id": group_id, "role_id": role_id, "created_at": now}
            connection.execute(GROUP_ROLES.insert().values(row))

        return self._changed(group_id, work)

    def remove_role(self, group_id: str, role_id: str) -> Group:
        """Take a role from a group.

        Raises:
            NotFoundError: there is no such group or role.
            AssociationMissingError: the group does not have the role.
        """

        def work(connection: sql.Connection, _now: EpochMs) -> None:
            check_role(connection, role_id)
            which = (GROUP_ROLES.c.group_id == group_id) & (GROUP_ROLES.c.role_id == role_id)
            if connection.execute(GROUP_ROLES.delete().where(which)).rowcount == 0:
                raise AssociationMissingError(f"group {group_id} does not have role {role_id}")

        return self._changed(group_id, work)

    def _changed(self, group_id: str, change: Callable[[sql.Connection, EpochMs], None]) -> Group:
        now = self._clock.now_ms()

        def work(connection: sql.Connection) -> Group:
            check_group(connection, group_id)
            change(connection, now)
            touched = GROUPS.update().where(GROUPS.c.id == group_id)
            connection.execute(touched.values(changed(now, GROUPS)))
            return _group(connection, group_id)

        return self._database.transact(work)


def _group(connection: sql.Connection, group_id: str) -> Group:
    check_group(connection, group_id)
    row = connection.execute(GROUPS.select().where(GROUPS.c.id == group_id)).one()
    held = connection.execute(
        GROUP_ROLES.select()
        .where(GROUP_ROLES.c.group_id == group_id)
        .order_by(GROUP_ROLES.c.created_at, GROUP_ROLES.c.role_id)
    )
    return Group(
        id=row.id,
        name=row.name,
        parent_group=row.parent_group,
        roles=tuple(RoleOfUser(role_id=each.role_id, created_at=each.created_at) for each in held),
        version=row.version,
        updated_at=row.updated_at,
    )


def _subgroups(connection: sql.Connection, group_id: str) -> list[str]:
    query = sql.select(GROUPS.c.id).where(GROUPS.c.parent_group == group_id).order_by(GROUPS.c.id)
    return list(connection.execute(query).scalars())


def _depth_below(connection: sql.Connection, group_id: str) -> int:
    """How many groups are in each other from this one on."""
    depth, level = 1, _subgroups(connection, group_id)
    while level and depth < GROUPS_DEEP_MAX:
        depth += 1
        level = [each for group in level for each in _subgroups(connection, group)]
    return depth


def _check_depth(connection: sql.Connection, parent_group: str, *, below: int) -> None:
    if len(groups_above(connection, parent_group)) + below > GROUPS_DEEP_MAX:
        raise GroupNestingError(f"at most {GROUPS_DEEP_MAX} groups may be in each other")
