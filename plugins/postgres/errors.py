"""Mapping of PostgreSQL's failures to the host's errors."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pg8000.exceptions import DatabaseError, InterfaceError
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from host.domain.errors import DatabaseAwayError, DiskFullError, StorageBusyError, StorageError
from host.ports.groups import FencedError
from host.ports.state import StateConflictError

FENCED, CONFLICT = "CB001", "CB002"
"""States that our own functions raise."""
UNIQUE = "23505"
RETRIED = frozenset({"40001", "40P01"})
"""A transaction that PostgreSQL chose to abort; the same one may succeed at once."""
_BUSY = frozenset({"55P03"})
_FULL = frozenset({"53100"})
_LOST = ("08", "25P03", "57P")
"""What the server says before it ends a connection, by the beginning of its SQLSTATE."""
_NO_DATABASE, _NO_RIGHT = "3D000", "42501"
_NO_ACCESS = "28"
_REASONS: Mapping[str, str] = {
    "08": "the connection failed",
    "25006": "it is read-only",
    _NO_ACCESS: "access is denied",
    _NO_DATABASE: "there is no such database (`cordbox database init` makes one)",
    _NO_RIGHT: "a right is missing",
    "53": "the server lacks resources",
    "25P03": "the server ended the connection, whose transaction had stood still",
    "57P01": "the server ended the connection",
    "57P02": "the server ended the connection",
    "57P03": "the server does not accept connections at present",
    "XX001": "it is damaged",
    "XX002": "it is damaged",
}
"""By SQLSTATE, or its class."""


def sqlstate(error: BaseException | None) -> str:
    """The SQLSTATE of a server's error; empty for failures of the connection."""
    if isinstance(error, DBAPIError):
        return sqlstate(error.orig)
    fields = error.args[0] if error is not None and error.args else None
    return str(fields.get("C", "")) if isinstance(fields, dict) else ""


def is_missing_database(error: BaseException | None) -> bool:
    """Whether the server has no database of the name."""
    return sqlstate(error) == _NO_DATABASE


def is_lost(error: BaseException | None) -> bool:
    """Whether the connection is of no more use."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or is_lost(error.orig)
    return not isinstance(error, DatabaseError) or sqlstate(error).startswith(_LOST)


CONNECTION_ERRORS = (DatabaseError, InterfaceError, OSError, EOFError)
"""What pg8000 raises: for refusals of the server, and for a broken connection."""


def storage_error(place: str, error: BaseException) -> Exception:
    """The error of a failed statement."""
    state = sqlstate(error)
    message = _message(error)
    if state == FENCED:
        return FencedError(message)
    if state == CONFLICT:
        return StateConflictError(message)
    if state == UNIQUE:
        return StateConflictError(f"another step has written the same row: {message}")
    if state in _BUSY:
        return lock_held(place)
    if state in _FULL:
        return DiskFullError(f"database {place} cannot be used: the disk is full", database=place)
    reason = _REASONS.get(state, _REASONS.get(state[:2], message))
    if state == _NO_RIGHT or state.startswith(_NO_ACCESS):
        reason = f"{reason}: {message}"
    if not state:
        reason = f"the connection failed: {message}"
    kind = DatabaseAwayError if is_lost(error) else StorageError
    return kind(f"database {place} cannot be used: {reason}", database=place)


def lock_held(place: str) -> StorageBusyError:
    """The error of a call that has waited for a lock, and did not get it."""
    return StorageBusyError(f"database {place}: another connection holds a lock", database=place)


def _message(error: BaseException | None) -> str:
    if isinstance(error, DBAPIError):
        return _message(error.orig)
    fields = error.args[0] if error is not None and error.args else None
    if isinstance(fields, dict):
        return str(fields.get("M", ""))
    return "it cannot be reached" if error is None or not str(error) else str(error)


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Convert database failures of the block, which uses SQLAlchemy, into `StorageError`.

    A violated constraint is not converted: it is an error of the caller, not of the storage.
    """
    try:
        yield
    except IntegrityError:
        raise
    except PoolTimeoutError as exc:
        raise StorageBusyError(
            f"database {place}: all connections of this process are in use", database=place
        ) from exc
    except (DBAPIError, *CONNECTION_ERRORS) as exc:
        raise storage_error(place, exc) from exc
