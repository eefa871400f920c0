"""The key of a cluster's administrative log, wrapped under its master passphrase."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from host.keys.errors import KeyMaterialError, MasterKeyError
from host.keys.master import derived_key, fresh_parameters
from host.keys.wrapping import NONCE_BYTES, unwrap, wrap
from host.ports.clock import Entropy
from host.ports.database import Schema
from plugins.postgres.connections import Access, Session, Sessions
from plugins.postgres.master_keys import KEYS

_TABLE = """CREATE TABLE audit_key (
  id integer PRIMARY KEY CHECK (id = 1), parameters bytea NOT NULL, wrapped bytea NOT NULL)"""
TABLES = Schema(name="audit-key", statements={"postgresql": (_TABLE,)})
_BINDING = "administrative-log"
T = TypeVar("T")


class _Row(NamedTuple):
    parameters: bytes
    wrapped: bytes


class AuditKeyRow:
    """The port `SharedAuditKey`: one row, with a salt of its own.

    So rotations of the master key leave it as it is, and their old salts may be deleted.

    Args:
        access: how to connect.
        passphrase: the same on all hosts.
        entropy: gives the salt and the nonce.
    """

    def __init__(self, access: Access, *, passphrase: str, entropy: Entropy) -> None:
        self._access = access.within(KEYS)
        self._passphrase = passphrase
        self._entropy = entropy

    def get(self) -> bytes | None:
        row = self._use(_stored)
        return None if row is None else self._opened(row)

    def keep(self, key: bytes) -> bytes:
        parameters = fresh_parameters(self._entropy)
        wrapping = derived_key(self._place, self._passphrase, parameters)
        nonce = self._entropy.random_bytes(NONCE_BYTES)
        fresh = _Row(parameters, wrap(wrapping, key, bound_to=_BINDING, nonce=nonce))
        row = self._use(lambda session: _kept(session, fresh))
        return key if row == fresh else self._opened(row)

    @property
    def _place(self) -> str:
        return f"database {self._access.address}, key of the administrative log"

    def _opened(self, row: _Row) -> bytes:
        wrapping = derived_key(self._place, self._passphrase, row.parameters)
        try:
            return unwrap(wrapping, row.wrapped, bound_to=_BINDING)
        except KeyMaterialError as exc:
            raise MasterKeyError(
                f"{self._place}: it is not wrapped under this host's master passphrase"
            ) from exc

    def _use(self, work: Callable[[Session], T]) -> T:
        sessions = Sessions(self._access)
        try:
            return sessions.use(work)
        finally:
            sessions.close()


def _stored(session: Session) -> _Row | None:
    rows = session.run("SELECT parameters, wrapped FROM audit_key")
    return _Row(bytes(rows[0][0]), bytes(rows[0][1])) if rows else None


def _kept(session: Session, fresh: _Row) -> _Row:
    """Store a row unless another host has stored one; which one is there."""
    session.run(
        "INSERT INTO audit_key VALUES (1, :p, :w) ON CONFLICT DO NOTHING",
        p=fresh.parameters,
        w=fresh.wrapped,
    )
    return _stored(session) or fresh
