"""Users of the REST interface, stored in the cluster's database.

Login names are case-insensitive and kept in lower case; passwords are case-sensitive. A verified
credential is cached in memory by a keyed digest, so that requests do not run scrypt each time; the
cache is cleared when the revision of the database changes, whichever process changed it.
"""

import hashlib
import hmac
import re
import threading
from dataclasses import dataclass

import msgspec
import sqlalchemy as sql

from host.access.actions import Action
from host.access.errors import NotAuthenticatedError, UserExistsError, UserInvalidError
from host.access.passwords import hash_password, matches
from host.access.permissions import Permission, is_allowed
from host.domain.ascii_case import ascii_lower
from host.domain.errors import NotFoundError
from host.domain.ids import EpochMs
from host.domain.refused import shown
from host.ports.clock import Clock, Entropy
from host.ports.database import REMEMBERED, Schema, SqlDatabase

_LOGIN = re.compile(r"[-._@a-z0-9]{3,255}")
_PASSWORD_CHARACTERS_MAX = 255
_REMEMBERED_MAX = 1024

_METADATA = sql.MetaData()
_USERS = sql.Table(
    "rest_user",
    _METADATA,
    sql.Column("login_name", sql.Text, primary_key=True),
    sql.Column("id", sql.Text, nullable=False),
    sql.Column("full_name", sql.Text, nullable=False),
    sql.Column("password_hash", sql.Text, nullable=False),
    sql.Column("enabled", sql.Boolean, nullable=False),
    sql.Column("permissions", sql.Text, nullable=False),
    sql.Column("version", sql.Integer, nullable=False),
    sql.Column("updated_at", sql.BigInteger, nullable=False),
    info=REMEMBERED,
)
RBAC_SCHEMA = Schema(name="rbac", metadata=_METADATA)
"""The tables that `Users` needs in the cluster's database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """The public data of a user. `version` increases with each change."""

    login_name: str
    id: str
    full_name: str
    enabled: bool
    permissions: tuple[Permission, ...]
    version: int
    updated_at: EpochMs

    def may(self, action: Action) -> bool:
        """Whether the user's permissions allow `action`."""
        return is_allowed(self.permissions, action)


class Users:
    """The users of a cluster. Thread-safe."""

    def __init__(self, database: SqlDatabase, *, clock: Clock, entropy: Entropy) -> None:
        self._database = database
        self._clock = clock
        self._entropy = entropy
        self._digest_key = entropy.random_bytes(32)
        self._stranger: str | None = None
        self._remembered: dict[bytes, User] = {}
        self._revision: int | None = None
        self._lock = threading.Lock()

    def create(
        self, login_name: str, password: str, *, full_name: str, permissions: tuple[Permission, ...]
    ) -> User:
        """Add an enabled user.

        Raises:
            UserInvalidError: login name or password.
            UserExistsError: the login name is in use.
        """
        login = canonical_login_name(login_name)
        if not _LOGIN.fullmatch(login):
            raise UserInvalidError(
                f"login name {shown(login_name)} must be 3 to 255 letters, digits or '-._@'"
            )
        row = {
            "login_name": login,
            "id": self._entropy.random_bytes(16).hex(),
            "full_name": full_name,
            "password_hash": self._hashed(password),
            "enabled": True,
            "permissions": msgspec.json.encode(permissions).decode(),
            "version": 0,
            "updated_at": self._clock.now_ms(),
        }
        try:
            self._database.transact(
                lambda connection: connection.execute(_USERS.insert().values(row))
            )
        except sql.exc.IntegrityError as error:
            raise UserExistsError(f"user {login!r} exists already") from error
        return self.get(login)

    def get(self, login_name: str) -> User:
        """The user of this login name.

        Raises:
            NotFoundError: there is no such user.
        """
        row = self._row(login_name)
        if row is None:
            raise NotFoundError(
                f"user {shown(login_name)} does not exist", kind="user", named=login_name
            )
        return _user_of(row)

    def exists(self, login_name: str) -> bool:
        return self._row(login_name) is not None

    def count(self) -> int:
        """The number of users; also a check that the storage works.

        Raises:
            StorageError: the database cannot be read.
        """
        with self._database.read() as connection:
            return int(connection.execute(sql.select(sql.func.count(_USERS.c.id))).scalar_one())

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
        if self._stranger is None:
            self._stranger = hash_password("", self._entropy)
        right = matches(password, self._stranger if row is None else row.password_hash)
        if row is None or not right or not row.enabled:
            raise NotAuthenticatedError("User not authorized.")
        user = _user_of(row)
        with self._lock:
            self._forget_older(self._database.revision())
            if len(self._remembered) >= _REMEMBERED_MAX:
                self._remembered.clear()
            # A password that was changed while scrypt ran must not be cached.
            if revision == self._revision:
                self._remembered[self._digest(login_name, password)] = user
        return user

    def change_password(self, login_name: str, password: str) -> User:
        """Set a new password; credentials with the old one are refused from now on.

        Raises:
            UserInvalidError: the password is empty or too long.
            NotFoundError: no user has this login name.
        """
        login = self.get(login_name).login_name
        values = {
            "password_hash": self._hashed(password),
            "version": _USERS.c.version + 1,
            "updated_at": self._clock.now_ms(),
        }
        change = _USERS.update().where(_USERS.c.login_name == login).values(values)
        self._database.transact(lambda connection: connection.execute(change))
        return self.get(login)

    def _forget_older(self, revision: int) -> None:
        """Clear the cache if another process may have changed users since."""
        if revision != self._revision:
            self._remembered.clear()
            self._revision = revision

    def _row(self, login_name: str) -> sql.Row[tuple[object, ...]] | None:
        query = _USERS.select().where(_USERS.c.login_name == canonical_login_name(login_name))
        with self._database.read() as connection:
            return connection.execute(query).one_or_none()

    def _hashed(self, password: str) -> str:
        if not 0 < len(password) <= _PASSWORD_CHARACTERS_MAX:
            raise UserInvalidError(
                f"a password has 1 to {_PASSWORD_CHARACTERS_MAX} characters, found {len(password)}"
            )
        return hash_password(password, self._entropy)

    def _digest(self, login_name: str, password: str) -> bytes:
        text = f"{canonical_login_name(login_name)}\0{password}".encode()
        return hmac.digest(self._digest_key, text, hashlib.sha256)


def canonical_login_name(text: str) -> str:
    """A login name in lower case, as it is stored."""
    return ascii_lower(text)


def _user_of(row: sql.Row[tuple[object, ...]]) -> User:
    return User(
        login_name=row.login_name,
        id=row.id,
        full_name=row.full_name,
        enabled=row.enabled,
        permissions=msgspec.json.decode(row.permissions, type=tuple[Permission, ...]),
        version=row.version,
        updated_at=row.updated_at,
    )
