"""States in an SQLite table: reading them by key, and by owner and due time."""

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from host.adapters.sqlite.pieces import whole
from host.domain.accounts import Charge
from host.domain.ids import EpochMs
from host.ports.bus import DuePlace
from host.ports.state import StateRecord

_COLUMNS = f"key, version, {whole('states')}, due_at, consumer, partition"
_LAST = "\U0010ffff"
"""Sorts after every text."""
_BETWEEN = "key >= ? AND key < ?"
# Only the keys are sorted: values may be large, and most are not returned.
_DUE = (
    f"SELECT {_COLUMNS} FROM states WHERE key IN (SELECT key FROM states WHERE consumer = ?1"  # noqa: S608  # constants
    " AND partition IN (SELECT value FROM json_each(?2)) AND due_at IS NOT NULL AND due_at <= ?3"
    " ORDER BY due_at, key LIMIT ?4) ORDER BY due_at, key"
)
_NEXT_DUE = (
    "SELECT min((SELECT due_at FROM states WHERE consumer = ?1 AND partition = p.value"
    " AND due_at IS NOT NULL ORDER BY due_at LIMIT 1)) FROM json_each(?2) p"
)
_OLDEST = (
    f"SELECT {_COLUMNS} FROM states WHERE node = ? AND account = ? AND peer IS ?"  # noqa: S608  # constants
    " AND due_at IS NOT NULL AND account IN ('status', 'history') ORDER BY due_at LIMIT ?"
)
_PLACED = (
    f"SELECT {_COLUMNS} FROM states WHERE consumer = ?"  # noqa: S608  # constants
    " AND partition IN (SELECT value FROM json_each(?)) ORDER BY key"
)


def get(connection: sqlite3.Connection, key: str) -> StateRecord | None:
    """See `States.get`."""
    sql = f"SELECT {_COLUMNS} FROM states WHERE key = ?"  # noqa: S608  # a constant
    row = connection.execute(sql, (key,)).fetchone()
    return None if row is None else _state(row)


def get_many(connection: sqlite3.Connection, keys: Collection[str]) -> Mapping[str, StateRecord]:
    """See `States.get_many`."""
    places = ", ".join("?" * len(keys))
    sql = f"SELECT {_COLUMNS} FROM states WHERE key IN ({places})"  # noqa: S608  # no text of others
    return {record.key: record for record in _read(connection, sql, tuple(keys))}


def scan(
    connection: sqlite3.Connection, prefix: str, limit: int | None = None
) -> Sequence[StateRecord]:
    """See `States.scan`."""
    sql = f"SELECT {_COLUMNS} FROM states WHERE {_BETWEEN} ORDER BY key LIMIT ?"  # noqa: S608  # constants
    most = -1 if limit is None else limit
    return _read(connection, sql, (prefix, prefix + _LAST, most))


def due(
    connection: sqlite3.Connection,
    group: str,
    now: EpochMs,
    limit: int,
    partitions: Collection[int],
) -> Sequence[StateRecord]:
    """See `States.due`."""
    return _read(connection, _DUE, (group, json.dumps(list(partitions)), now, limit))


def next_due(
    connection: sqlite3.Connection, group: str, partitions: Collection[int]
) -> EpochMs | None:
    """See `States.next_due`."""
    row = connection.execute(_NEXT_DUE, (group, json.dumps(list(partitions)))).fetchone()
    found: EpochMs | None = row[0]
    return found


def placed(
    connection: sqlite3.Connection, group: str, partitions: Collection[int]
) -> Sequence[StateRecord]:
    """See `States.placed`."""
    return _read(connection, _PLACED, (group, json.dumps(list(partitions))))


def oldest(connection: sqlite3.Connection, charge: Charge, limit: int) -> Sequence[StateRecord]:
    """See `Accounts.oldest`."""
    return _read(connection, _OLDEST, (charge.node, charge.account, charge.peer, limit))


def _read(
    connection: sqlite3.Connection, sql: str, values: tuple[object, ...]
) -> Sequence[StateRecord]:
    return [_state(row) for row in connection.execute(sql, values).fetchall()]


def _state(row: Any) -> StateRecord:
    key, version, value, due_at, group, partition = row
    place = None if group is None else DuePlace(group=group, partition=partition)
    return StateRecord(key=key, version=version, value=value, due_at=due_at, place=place)
