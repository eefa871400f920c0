"""Users of the REST interface, stored in the cluster's database.

Login names are case-insensitive and kept in lower case; passwords are case-sensitive. A verified
credential is cached in memory by a keyed digest, so that requests do not run scrypt each time; the
cache is cleared when the revision of the database changes, whichever process changed it.
"""

import hashlib
import hmac
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import sqlalchemy as sql

from host.access.actions import Action
from host.access.errors import NotAuthenticatedError, UserExistsError, UserInvalidError
from host.access.passwords import (
    PASSWORD_CHARACTERS_MAX,
    check_length,
    hash_password,
    matches,
    nobodys_hash,
)
from host.access.permissions import Permission, is_allowed
from host.access.tables import USERS
from host.access.user_rows import (
    GrantedPermission,
    RoleOfUser,
    UserProperty,
    assign_role,
    changed,
    check_group,
    delete_user,
    granted_by_roles,
    new_id,
    properties_of_user,
    remove_property,
    remove_role,
    roles_of_user,
    rows_having,
    set_group,
    set_properties,
)
from host.domain.ascii_case import ascii_lower
from host.domain.errors import NotFoundError
from host.domain.ids import EpochMs
from host.domain.printable import printable
from host.domain.refused import shown
from host.ports.clock import Clock, Entropy
from host.ports.database import SqlDatabase

LOGIN = re.compile(r"[-._@a-z0-9]{3,255}")
"""What a login name is, in lower case."""
_NO_PASSWORD = ""
"""Stands for the hash of a user who signs in by an identity provider."""
_REMEMBERED_MAX = 1024
_DAY_MS = 24 * 3600 * 1000

_PROPERTY_KEY = re.compile(r"[-._a-zA-Z0-9]{1,255}")
_PROPERTY_CHARACTERS_MAX = 255
_FULL_NAME_CHARACTERS_MAX = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """The public data of a user. `version` increases with each change.

    Attributes:
        granted: permissions given without a role, as the first administrator has them, and those
            of the user's roles and of those of the groups above.
        password_expiry: from when on the password only serves to set another one; None for never.
        sso: whether the user has no password, and signs in by an identity provider.
    """

    login_name: str
    id: str
    full_name: str
    enabled: bool
    granted: tuple[GrantedPermission, ...]
    roles: tuple[RoleOfUser, ...]
    properties: tuple[UserProperty, ...]
    password_expiry: EpochMs | None
    version: int
    updated_at: EpochMs
    parent_group: str | None = None
    sso: bool = False

    def may(self, action: Action) -> bool:
        """Whether the user's permissions allow `action`."""
        return is_allowed((each.permission for each in self.granted), action)

    def has_expired(self, now: EpochMs) -> bool:
        """Whether the password has to be changed before anything else is done."""
        return self.password_expiry is not None and self.password_expiry <= now

    def expires_within(self, days: int, now: EpochMs) -> bool:
        """Whether the password has to be changed in so many days, or before."""
        return self.password_expiry is not None and self.password_expiry <= now + days * _DAY_MS


class Users:
    """The users of a cluster. Thread-safe."""

    def __init__(self, database: SqlDatabase, *, clock: Clock, entropy: Entropy) -> None:
        self._database = database
        self._clock = clock
        self._entropy = entropy
        self._digest_key = entropy.random_bytes(32)
        self._stranger = nobodys_hash(entropy)
        self._remembered: dict[bytes, User] = {}
        self._revision: int | None = None
        self._lock = threading.Lock()

    def create(
        self,
        login_name: str,
        password: str | None,
        *,
        full_name: str,
        permissions: tuple[Permission, ...] = (),
        enabled: bool = True,
        password_expiry: EpochMs | None = None,
        parent_group: str | None = None,
    ) -> User:
        """Add a user; without a password, one who signs in by an identity provider.

        Raises:
            UserInvalidError: login name, full name or password.
            NotFoundError: there is no such group.
            UserExistsError: the login name is in use.
        """
        login = canonical_login_name(login_name)
        if not LOGIN.fullmatch(login):
            raise UserInvalidError(
                f"login name {shown(login_name)} must be 3 to 255 letters, digits or '-._@'"
            )
        if not len(full_name) <= _FULL_NAME_CHARACTERS_MAX or printable(full_name) != full_name:
            raise UserInvalidError(
                f"a full name has at most {_FULL_NAME_CHARACTERS_MAX} printable characters"
            )
        row = {
            "login_name": login,
            "id": new_id(self._entropy),
            "full_name": full_name,
            "password_hash": _NO_PASSWORD if password is None else self._hashed(password),
            "password_expiry": password_expiry,
            "enabled": enabled,
            "permissions": msgspec.json.encode(permissions).decode(),
            "version": 0,
            "updated_at": self._clock.now_ms(),
            "parent_group": parent_group,
        }

        def add(connection: sql.Connection) -> None:
            if parent_group is not None:
                check_group(connection, parent_group)
            connection.execute(USERS.insert().values(row))

        try:
            self._database.transact(add)
        except sql.exc.IntegrityError as error:
            raise UserExistsError(f"user {login!r} exists already") from error
        return self.get(login)

    def get(self, login_name: str) -> User:
        """The user of this login name.

        Raises:
            NotFoundError: there is no such user.
        """
        login = canonical_login_name(login_name)
        with self._database.read() as connection:
            found = stored_user(connection, login)
        if found is None:
            raise NotFoundError(
                f"user {shown(login_name)} does not exist", kind="user", named=login_name
            )
        return found

    def exists(self, login_name: str) -> bool:
        return self._row(login_name) is not None

    def count(self) -> int:
        """The number of users; also a check that the storage works.

        Raises:
            StorageError: the database cannot be read.
        """
        with self._database.read() as connection:
            return int(connection.execute(sql.select(sql.func.count(USERS.c.id))).scalar_one())

    def knows(self, login_name: str, password: str) -> bool:
        """Whether `authenticate` would accept this credential."""
        try:
            self.authenticate(login_name, password)
        except NotAuthenticatedError:
            return False
        return True

    def remembered(self, login_name: str, password: str) -> User | None:
        """The user of a credential that `authenticate` accepted before; takes microseconds.

        Raises:
            StorageError: the database cannot be read.
        """
        revision = self._database.revision()
        with self._lock:
            self._forget_older(revision)
            return self._remembered.get(self._digest(login_name, password))

    def authenticate(self, login_name: str, password: str) -> User:
        """The user of a correct credential; takes the same time for an unknown name.

        Raises:
            NotAuthenticatedError: unknown name, wrong password or disabled user.
        """
        revision = self._database.revision()
        row = self._row(login_name)
        known = row is not None and row.password_hash != _NO_PASSWORD
        right = matches(
            password, row.password_hash if row is not None and known else self._stranger
        )
        if row is None or not right or not row.enabled:
            raise NotAuthenticatedError("User not authorized.")
        with self._database.read() as connection:
            user = _user_of(connection, row)
        with self._lock:
            self._forget_older(self._database.revision())
            if len(self._remembered) >= _REMEMBERED_MAX:
                self._remembered.clear()
            # A password that was changed while scrypt ran must not be cached.
            if revision == self._revision:
                self._remembered[self._digest(login_name, password)] = user
        return user

    def change_password(
        self, login_name: str, password: str, *, valid_days: int | None = None
    ) -> User:
        """Set a new password; credentials with the old one are refused from now on.

        Args:
            login_name: whose.
            password: the new one.
            valid_days: after which it has to be changed again; None for never.

        Raises:
            UserInvalidError: the password is empty or too long, or the user has none.
            NotFoundError: no user has this login name.
        """
        user = self.get(login_name)
        if user.sso:
            raise UserInvalidError(f"user {user.login_name!r} has no password: single sign-on")
        login = user.login_name
        now = self._clock.now_ms()
        values = {
            "password_hash": self._hashed(password),
            "password_expiry": None if valid_days is None else now + valid_days * _DAY_MS,
            **changed(now, USERS),
        }
        change = USERS.update().where(USERS.c.login_name == login).values(values)
        self._database.transact(lambda connection: connection.execute(change))
        return self.get(login)

    def assign_role(self, login_name: str, role_id: str) -> User:
        """Give a user a role; its permissions count from the next request on.

        Raises:
            NotFoundError: there is no such user or role.
            AssociationExistsError: the user has the role.
            AccessLimitError: the user has as many roles as possible.
        """
        return self._changed(login_name, lambda c, login, now: assign_role(c, login, role_id, now))

    def remove_role(self, login_name: str, role_id: str) -> User:
        """Take a role from a user.

        Raises:
            NotFoundError: there is no such user or role.
            AssociationMissingError: the user does not have the role.
        """
        return self._changed(login_name, lambda c, login, now: remove_role(c, login, role_id, now))

    def change_group(self, login_name: str, group_id: str) -> User:
        """Put a user into a group; the roles of it and of those above it count from now on.

        Raises:
            NotFoundError: there is no such user or group.
        """
        return self._changed(login_name, lambda c, login, now: set_group(c, login, group_id, now))

    def set_properties(self, login_name: str, values: Mapping[str, str]) -> User:
        """Add properties to a user, or replace their values.

        Raises:
            NotFoundError: there is no such user.
            UserInvalidError: a key or a value, or the user would have too many.
        """
        for key, value in values.items():
            if not _PROPERTY_KEY.fullmatch(key):
                raise UserInvalidError(
                    f"property {shown(key)} must be 1 to 255 letters, digits or '-._'"
                )
            if len(value) > _PROPERTY_CHARACTERS_MAX or printable(value) != value:
                raise UserInvalidError(
                    f"the value of property {shown(key)} has at most"
                    f" {_PROPERTY_CHARACTERS_MAX} printable characters"
                )
        return self._changed(
            login_name, lambda c, login, now: set_properties(c, login, values, now)
        )

    def remove_property(self, login_name: str, key: str) -> User:
        """Remove a property of a user.

        Raises:
            NotFoundError: there is no such user, or no such property.
        """
        return self._changed(login_name, lambda c, login, now: remove_property(c, login, key, now))

    def having(self, key: str, value: str) -> Sequence[User]:
        """The users with this value of a property by login name, at most 1,000."""
        with self._database.read() as connection:
            rows = connection.execute(rows_having(key, value))
            return [_user_of(connection, row) for row in rows]

    def delete(self, login_name: str) -> User:
        """Remove a user, and give it as it was.

        Raises:
            NotFoundError: there is no such user.
        """
        user = self.get(login_name)
        self._database.transact(lambda connection: delete_user(connection, user.login_name))
        return user

    def _changed(
        self, login_name: str, change: Callable[[sql.Connection, str, EpochMs], None]
    ) -> User:
        """Change what belongs to an existing user, and give the user as it is then."""
        login, now = self.get(login_name).login_name, self._clock.now_ms()
        self._database.transact(lambda connection: change(connection, login, now))
        return self.get(login)

    def _forget_older(self, revision: int) -> None:
        """Clear the cache if another process may have changed users since."""
        if revision != self._revision:
            self._remembered.clear()
            self._revision = revision

    def _row(self, login_name: str) -> sql.Row[tuple[object, ...]] | None:
        with self._database.read() as connection:
            return connection.execute(_row_of(canonical_login_name(login_name))).one_or_none()

    def _hashed(self, password: str) -> str:
        check_length(password, PASSWORD_CHARACTERS_MAX)
        return hash_password(password, self._entropy)

    def _digest(self, login_name: str, password: str) -> bytes:
        text = f"{canonical_login_name(login_name)}\0{password}".encode()
        return hmac.digest(self._digest_key, text, hashlib.sha256)


canonical_login_name = ascii_lower
"""A login name as it is stored."""


def stored_user(connection: sql.Connection, login: str) -> User | None:
    """The user of a login name in lower case; None if there is none."""
    row = connection.execute(_row_of(login)).one_or_none()
    return None if row is None else _user_of(connection, row)


def _row_of(login: str) -> sql.Select[tuple[object, ...]]:
    return USERS.select().where(USERS.c.login_name == login)


def _user_of(connection: sql.Connection, row: sql.Row[tuple[object, ...]]) -> User:
    own = msgspec.json.decode(row.permissions, type=tuple[Permission, ...])
    return User(
        login_name=row.login_name,
        id=row.id,
        full_name=row.full_name,
        enabled=row.enabled,
        granted=tuple(
            GrantedPermission(id=f"{row.id}-{number}", permission=each)
            for number, each in enumerate(own)
        )
        + granted_by_roles(connection, row.login_name, row.parent_group),
        roles=roles_of_user(connection, row.login_name),
        properties=properties_of_user(connection, row.login_name),
        password_expiry=row.password_expiry,
        version=row.version,
        updated_at=row.updated_at,
        parent_group=row.parent_group,
        sso=row.password_hash == _NO_PASSWORD,
    )
