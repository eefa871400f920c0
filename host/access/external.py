"""Users whom an identity provider has authenticated. They have no password here.

A stored user without a password signs in by the provider alone. Who is not stored is a user only as
long as one of the provider's groups stands for a group of the cluster, with that group's rights.
"""

import threading
from collections import OrderedDict

import sqlalchemy as sql

from host.access.errors import ExternalUserRefusedError
from host.access.tables import GROUPS
from host.access.user_rows import GrantedPermission, granted_by_roles
from host.access.users import LOGIN, User, canonical_login_name, stored_user
from host.domain.refused import shown
from host.ports.database import SqlDatabase
from host.ports.identity import Identity

_REMEMBERED_MAX = 1024
_NOBODYS_ID = "external"


class ExternalUsers:
    """Finds the users of identities. Thread-safe.

    What was found is kept until the revision of the database changes, whichever process changed it.
    """

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database
        self._remembered: OrderedDict[tuple[str, tuple[str, ...]], User] = OrderedDict()
        self._revision: int | None = None
        self._lock = threading.Lock()

    def of(self, identity: Identity) -> User:
        """The user of an identity.

        Raises:
            ExternalUserRefusedError: the cluster has no such user, and no group for it; or the user
                is disabled, or has a password and signs in by it.
            StorageError: the database cannot be read.
        """
        key = (canonical_login_name(identity.login_name), identity.groups)
        revision = self._database.revision()
        with self._lock:
            if revision != self._revision:
                self._remembered.clear()
                self._revision = revision
            found = self._remembered.get(key)
        if found is not None:
            return found
        user = self._found(*key)
        with self._lock:
            if revision == self._revision:
                self._remembered[key] = user
                if len(self._remembered) > _REMEMBERED_MAX:
                    self._remembered.popitem(last=False)
        return user

    def _found(self, login_name: str, groups: tuple[str, ...]) -> User:
        if not LOGIN.fullmatch(login_name):
            raise ExternalUserRefusedError(
                f"{shown(login_name)} is no login name: 3 to 255 letters, digits or '-._@'"
            )
        with self._database.read() as connection:
            stored = stored_user(connection, login_name)
            if stored is None:
                return _of_groups(connection, login_name, groups)
        if not stored.sso or not stored.enabled:
            raise ExternalUserRefusedError(
                f"user {login_name!r} is disabled"
                if stored.sso
                else f"user {login_name!r} signs in by a password"
            )
        return stored


def _of_groups(connection: sql.Connection, login_name: str, groups: tuple[str, ...]) -> User:
    rows = connection.execute(
        sql.select(GROUPS.c.id, GROUPS.c.updated_at)
        .where(GROUPS.c.name.in_(groups))
        .order_by(GROUPS.c.name)
    ).all()
    if not rows:
        raise ExternalUserRefusedError(
            f"user {login_name!r} does not exist, and is in no group that stands for one here"
        )
    granted: dict[str, GrantedPermission] = {}
    for row in rows:
        granted |= {each.id: each for each in granted_by_roles(connection, login_name, row.id)}
    return User(
        login_name=login_name,
        id=_NOBODYS_ID,
        full_name=login_name,
        enabled=True,
        granted=tuple(granted.values()),
        roles=(),
        properties=(),
        password_expiry=None,
        version=0,
        updated_at=max(row.updated_at for row in rows),
        parent_group=rows[0].id,
        sso=True,
    )
