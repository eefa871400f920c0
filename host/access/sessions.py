"""Sessions of people who signed in with a browser, in the cluster's database.

The database has only the SHA-256 of a session's token, so that its content opens nothing. A session
ends after 30 minutes without a request, after 12 hours in all, and with every change of its user,
such as a new password. Its writes do not change the revision of the database.
"""

import hashlib
import json
from dataclasses import dataclass

import sqlalchemy as sql

from host.access.users import User
from host.domain.ids import EpochMs
from host.ports.clock import Clock, Entropy
from host.ports.database import EVERY, Schema, SqlDatabase

IDLE_MS = 30 * 60_000
WHOLE_MS = 12 * 3_600_000
SESSIONS_MAX = 20
"""Sessions of one user; the oldest end for a new one."""
_NOTED_MS = 60_000
"""How often a session's last use is written."""
_TOKEN_BYTES = 32
_CHARACTERS_MAX = 128

_METADATA = sql.MetaData()
SESSIONS = sql.Table(
    "console_session",
    _METADATA,
    sql.Column("digest", sql.String(64), primary_key=True),
    sql.Column("login_name", sql.Text, nullable=False, index=True),
    sql.Column("user_version", sql.Integer, nullable=False),
    sql.Column("begun_at", sql.BigInteger, nullable=False),
    sql.Column("used_at", sql.BigInteger, nullable=False, index=True),
    sql.Column("group_names", sql.Text),
)
SESSIONS_SCHEMA = Schema(
    name="console-sessions",
    metadata=_METADATA,
    version=2,
    migrations={1: {EVERY: ("ALTER TABLE console_session ADD COLUMN group_names TEXT",)}},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserSession:
    """A session that has not ended; `user_version` is the user's at sign-in.

    `groups` are those for which an identity provider's stand; None if a password was given.
    """

    login_name: str
    user_version: int
    begun_at: EpochMs
    used_at: EpochMs
    groups: tuple[str, ...] | None = None


class BrowserSessions:
    """The sessions of a cluster. Thread-safe."""

    def __init__(self, database: SqlDatabase, *, clock: Clock, entropy: Entropy) -> None:
        self._database = database
        self._clock = clock
        self._entropy = entropy

    def begin(self, user: User, groups: tuple[str, ...] | None = None) -> str:
        """Begin a session of a user whose credential was checked; returns its token.

        Args:
            user: who signs in.
            groups: as in `BrowserSession`.
        """
        token = self.new_token()
        now = self._clock.now_ms()
        row = {
            "digest": _digest(token),
            "login_name": user.login_name,
            "user_version": user.version,
            "begun_at": now,
            "used_at": now,
            "group_names": None if groups is None else json.dumps(groups),
        }

        def write(connection: sql.Connection) -> None:
            over = SESSIONS.c.used_at <= now - IDLE_MS
            connection.execute(SESSIONS.delete().where(over))
            newest = (
                sql.select(SESSIONS.c.digest)
                .where(SESSIONS.c.login_name == user.login_name)
                .order_by(SESSIONS.c.begun_at.desc())
                .limit(SESSIONS_MAX - 1)
            )
            kept = list(connection.execute(newest).scalars())
            connection.execute(
                SESSIONS.delete().where(
                    SESSIONS.c.login_name == user.login_name, SESSIONS.c.digest.not_in(kept)
                )
            )
            connection.execute(SESSIONS.insert().values(row))

        self._database.transact(write)
        return token

    def new_token(self) -> str:
        """256 random bits in hexadecimal."""
        return self._entropy.random_bytes(_TOKEN_BYTES).hex()

    def find(self, token: str) -> BrowserSession | None:
        """The session of a token; None if there is none, or it has ended."""
        if len(token) > _CHARACTERS_MAX:
            return None
        digest, now = _digest(token), self._clock.now_ms()
        with self._database.read() as connection:
            row = connection.execute(
                SESSIONS.select().where(SESSIONS.c.digest == digest)
            ).one_or_none()
        if row is None or now - row.used_at >= IDLE_MS or now - row.begun_at >= WHOLE_MS:
            return None
        if now - row.used_at >= _NOTED_MS:
            noted = SESSIONS.update().where(SESSIONS.c.digest == digest).values(used_at=now)
            self._database.transact(lambda connection: connection.execute(noted))
        return BrowserSession(
            login_name=row.login_name,
            user_version=row.user_version,
            begun_at=EpochMs(row.begun_at),
            used_at=EpochMs(now),
            groups=None if row.group_names is None else tuple(json.loads(row.group_names)),
        )

    def end(self, token: str) -> None:
        """End the session of a token, if there is one."""
        ended = SESSIONS.delete().where(SESSIONS.c.digest == _digest(token))
        self._database.transact(lambda connection: connection.execute(ended))

    def end_all(self, login_name: str) -> None:
        """End all sessions of a user."""
        ended = SESSIONS.delete().where(SESSIONS.c.login_name == login_name)
        self._database.transact(lambda connection: connection.execute(ended))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
