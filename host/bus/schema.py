"""The tables of the SQLite store, and how older files are brought up to date."""

import sqlite3
from collections.abc import Callable, Mapping

from host.bus.sqlite_accounts import STATEMENTS, drop_triggers_of_units
from host.bus.sqlite_glances import FILL_GLANCES, GLANCES, ORIGINS
from host.bus.sqlite_journals import TABLE
from host.bus.sqlite_pieces import TABLES as PIECES
from host.bus.upgrade_to_queues import move_to_queues
from host.domain.errors import StorageError
from host.domain.ids import EpochMs

SCHEMA_VERSION = 11

_VERSION_11 = """
CREATE TABLE new_states (
  key TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL, due_at INTEGER, consumer TEXT,
  partition INTEGER, node TEXT, account TEXT, peer TEXT, pieces INTEGER,
  large_bytes INTEGER NOT NULL DEFAULT 0, value BLOB NOT NULL)
"""

_VERSION_9 = """
CREATE TABLE new_records (
  topic TEXT NOT NULL, partition INTEGER NOT NULL, position INTEGER NOT NULL, key TEXT NOT NULL,
  written_at INTEGER NOT NULL, node TEXT, value BLOB NOT NULL,
  PRIMARY KEY (topic, partition, position));
CREATE TABLE new_states (
  key TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL, due_at INTEGER, consumer TEXT,
  partition INTEGER, node TEXT, account TEXT, peer TEXT, value BLOB NOT NULL);
CREATE TABLE new_journal (
  flow_id TEXT NOT NULL, number INTEGER NOT NULL, value BLOB NOT NULL,
  PRIMARY KEY (flow_id, number))
"""
"""Values are no part of a tree that is searched: of a table WITHOUT ROWID, SQLite reads the whole
row, megabytes if it has as many, for each comparison with a key on its way to another one."""

_VERSION_3 = """
CREATE TABLE work (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  topic TEXT NOT NULL, partition INTEGER NOT NULL, node TEXT NOT NULL,
  key TEXT NOT NULL, written_at INTEGER NOT NULL, value BLOB NOT NULL);
CREATE INDEX work_queues ON work (topic, partition, node, position);
ALTER TABLE states ADD COLUMN consumer TEXT;
ALTER TABLE states ADD COLUMN partition INTEGER;
DROP INDEX states_due;
CREATE INDEX states_due ON states (consumer, partition, due_at, key) WHERE consumer IS NOT NULL;
"""

_VERSION_2 = """
CREATE TABLE groups (name TEXT PRIMARY KEY, generation INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE members (
  consumer TEXT NOT NULL, member TEXT NOT NULL, beat_at INTEGER NOT NULL, ttl_ms INTEGER NOT NULL,
  PRIMARY KEY (consumer, member)) WITHOUT ROWID;
CREATE TABLE owners (
  consumer TEXT NOT NULL, partition INTEGER NOT NULL, member TEXT, epoch INTEGER NOT NULL,
  PRIMARY KEY (consumer, partition)) WITHOUT ROWID;
"""

_VERSION_1 = """
CREATE TABLE schema_version (version INTEGER NOT NULL);
CREATE TABLE records (
  topic TEXT NOT NULL, partition INTEGER NOT NULL, position INTEGER NOT NULL,
  key TEXT NOT NULL, value BLOB NOT NULL,
  PRIMARY KEY (topic, partition, position)) WITHOUT ROWID;
CREATE TABLE tails (
  topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
  PRIMARY KEY (topic, partition)) WITHOUT ROWID;
CREATE TABLE offsets (
  consumer TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
  PRIMARY KEY (consumer, topic, partition)) WITHOUT ROWID;
CREATE TABLE states (
  key TEXT PRIMARY KEY, version INTEGER NOT NULL, value BLOB NOT NULL,
  due_at INTEGER) WITHOUT ROWID;
CREATE INDEX states_due ON states (due_at, key) WHERE due_at IS NOT NULL;
CREATE TABLE journal (
  flow_id TEXT NOT NULL, number INTEGER NOT NULL, value BLOB NOT NULL,
  PRIMARY KEY (flow_id, number)) WITHOUT ROWID;
INSERT INTO schema_version VALUES (1);
"""


def prepare(connection: sqlite3.Connection, now: EpochMs) -> None:
    """Create the tables of a new file, and bring an older file up to date.

    The caller holds a write transaction, so that a file is never left between two versions.

    Raises:
        StorageError: the file was written by a newer version.
    """
    if not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        _execute_all(connection, _VERSION_1)
    (found,) = connection.execute("SELECT version FROM schema_version").fetchone()
    if not 1 <= found <= SCHEMA_VERSION:
        raise StorageError(f"schema version {found}, expected 1 to {SCHEMA_VERSION}")
    for version in range(found, SCHEMA_VERSION):
        _UPGRADES[version](connection, now)
        connection.execute("UPDATE schema_version SET version = ?", (version + 1,))


def _from_1(connection: sqlite3.Connection, now: EpochMs) -> None:
    """Groups come in, and the time of a record; those that stand in the file count as new."""
    _execute_all(connection, _VERSION_2)
    connection.execute("ALTER TABLE records ADD COLUMN written_at INTEGER NOT NULL DEFAULT 0")
    connection.execute("UPDATE records SET written_at = ?", (now,))


def _from_2(connection: sqlite3.Connection, now: EpochMs) -> None:
    """Work moves into queues of its nodes, and due states to the owners of their partitions."""
    del now
    _execute_all(connection, _VERSION_3)
    move_to_queues(connection)


def _from_3(connection: sqlite3.Connection, now: EpochMs) -> None:
    """Glances come in, one for each status."""
    del now
    _execute_all(connection, GLANCES)
    connection.execute(FILL_GLANCES)


def _from_4(connection: sqlite3.Connection, now: EpochMs) -> None:
    """The latest records of a log are found without reading all of it."""
    del now
    connection.execute(
        "CREATE INDEX records_newest ON records (topic, written_at, partition, position)"
    )


def _from_5(connection: sqlite3.Connection, now: EpochMs) -> None:
    """Nodes get accounts of bytes."""
    del now
    for statement in STATEMENTS:
        connection.execute(statement)


def _from_6(connection: sqlite3.Connection, now: EpochMs) -> None:
    """Who writes a unit counts what it changes, instead of triggers."""
    del now
    drop_triggers_of_units(connection)


def _from_7(connection: sqlite3.Connection, now: EpochMs) -> None:
    """Large journals are forgotten in portions."""
    del now
    connection.execute(TABLE)


def _from_8(connection: sqlite3.Connection, now: EpochMs) -> None:
    """Large values of one node are not read on the way to what another node looks for."""
    del now
    _execute_all(connection, _VERSION_9.strip())
    for table in ("records", "states", "journal"):
        _move_to_new(connection, table)


def _move_to_new(connection: sqlite3.Connection, table: str) -> None:
    """Let `new_<table>` take the place of a table, with its rows, indexes and triggers."""
    rest = connection.execute(
        "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type IN ('index', 'trigger')"
        " AND sql IS NOT NULL ORDER BY type",
        (table,),
    ).fetchall()
    names = ", ".join(
        name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
    )
    copy = f"INSERT INTO new_{table} ({names}) SELECT {names} FROM {table}"  # noqa: S608  # constants
    connection.execute(copy)
    connection.execute(f"DROP TABLE {table}")
    connection.execute(f"ALTER TABLE new_{table} RENAME TO {table}")
    for (statement,) in rest:
        connection.execute(statement)


def _from_9(connection: sqlite3.Connection, now: EpochMs) -> None:
    """What follows from a flow is found without a look at all that runs."""
    del now
    _execute_all(connection, ORIGINS)


def _from_10(connection: sqlite3.Connection, now: EpochMs) -> None:
    """Large values of states go in portions; those that stand in the file stay as they are."""
    del now
    _execute_all(connection, PIECES.strip())
    connection.execute(_VERSION_11)
    _move_to_new(connection, "states")


def _execute_all(connection: sqlite3.Connection, script: str) -> None:
    # Not executescript(), which would commit.
    for statement in script.split(";\n"):
        connection.execute(statement)


_UPGRADES: Mapping[int, Callable[[sqlite3.Connection, EpochMs], None]] = {
    1: _from_1,
    2: _from_2,
    3: _from_3,
    4: _from_4,
    5: _from_5,
    6: _from_6,
    7: _from_7,
    8: _from_8,
    9: _from_9,
    10: _from_10,
}
