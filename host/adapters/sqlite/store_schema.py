"""The tables of the flow store in SQLite.

Values are not stored in trees that are searched by key: in a table WITHOUT ROWID, SQLite reads a
whole row, possibly megabytes, for each key comparison of a search.
"""

import sqlite3

from host.adapters.sqlite.accounts import RECORD_TRIGGERS
from host.database.schema_versions import bring_up_to_date
from host.ports.database import Schema

_DIALECT = "sqlite"
_LOGS = """
CREATE TABLE records (
  topic TEXT NOT NULL, partition INTEGER NOT NULL, position INTEGER NOT NULL, key TEXT NOT NULL,
  written_at INTEGER NOT NULL, node TEXT, pieces INTEGER, large_bytes INTEGER NOT NULL DEFAULT 0,
  value BLOB NOT NULL,
  PRIMARY KEY (topic, partition, position));
CREATE INDEX records_newest ON records (topic, written_at, partition, position);
CREATE TABLE tails (
  topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
  PRIMARY KEY (topic, partition)) WITHOUT ROWID;
CREATE TABLE offsets (
  consumer TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
  PRIMARY KEY (consumer, topic, partition)) WITHOUT ROWID
"""
_WORK = """
CREATE TABLE work (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  topic TEXT NOT NULL, partition INTEGER NOT NULL, node TEXT NOT NULL,
  key TEXT NOT NULL, written_at INTEGER NOT NULL, peer TEXT, pieces INTEGER,
  large_bytes INTEGER NOT NULL DEFAULT 0, value BLOB NOT NULL);
CREATE INDEX work_queues ON work (topic, partition, node, position);
CREATE TABLE groups (name TEXT PRIMARY KEY, generation INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE members (
  consumer TEXT NOT NULL, member TEXT NOT NULL, beat_at INTEGER NOT NULL, ttl_ms INTEGER NOT NULL,
  PRIMARY KEY (consumer, member)) WITHOUT ROWID;
CREATE TABLE owners (
  consumer TEXT NOT NULL, partition INTEGER NOT NULL, member TEXT, epoch INTEGER NOT NULL,
  PRIMARY KEY (consumer, partition)) WITHOUT ROWID
"""
_STATES = """
CREATE TABLE states (
  key TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL, due_at INTEGER, consumer TEXT,
  partition INTEGER, node TEXT, account TEXT, peer TEXT, pieces INTEGER,
  large_bytes INTEGER NOT NULL DEFAULT 0, value BLOB NOT NULL);
CREATE INDEX states_due ON states (consumer, partition, due_at, key) WHERE consumer IS NOT NULL;
CREATE INDEX states_ended ON states (node, account, peer, due_at) WHERE due_at IS NOT NULL
  AND account IN ('status', 'history');
CREATE TABLE large (
  owner INTEGER PRIMARY KEY AUTOINCREMENT, is_forgotten INTEGER NOT NULL, staged_at INTEGER);
CREATE INDEX large_forgotten ON large (owner) WHERE is_forgotten;
CREATE INDEX large_staged ON large (staged_at) WHERE staged_at IS NOT NULL;
CREATE TABLE pieces (
  owner INTEGER NOT NULL, number INTEGER NOT NULL, value BLOB NOT NULL,
  PRIMARY KEY (owner, number));
CREATE TABLE journal (
  flow_id TEXT NOT NULL, number INTEGER NOT NULL, pieces INTEGER,
  large_bytes INTEGER NOT NULL DEFAULT 0, value BLOB NOT NULL,
  PRIMARY KEY (flow_id, number));
CREATE TABLE forgotten (flow_id TEXT PRIMARY KEY) WITHOUT ROWID
"""
_ACCOUNTS = """
CREATE TABLE accounts (
  node TEXT NOT NULL, name TEXT NOT NULL, peer TEXT NOT NULL, bytes INTEGER NOT NULL,
  things INTEGER NOT NULL, lasting INTEGER NOT NULL,
  PRIMARY KEY (node, name, peer)) WITHOUT ROWID;
CREATE INDEX accounts_whole ON accounts (name) WHERE peer = '';
CREATE TABLE journals (
  flow_id TEXT PRIMARY KEY, node TEXT NOT NULL, account TEXT NOT NULL, peer TEXT,
  bytes INTEGER NOT NULL) WITHOUT ROWID
"""
_GLANCES = """
CREATE TABLE flow_glance (
  key TEXT PRIMARY KEY, node TEXT NOT NULL, responder INTEGER NOT NULL, request TEXT NOT NULL,
  flow_id TEXT, class TEXT NOT NULL, status TEXT NOT NULL, started INTEGER NOT NULL,
  updated INTEGER NOT NULL, ended INTEGER, origin TEXT) WITHOUT ROWID;
CREATE INDEX flow_glance_all ON flow_glance (node, responder, started, key);
CREATE INDEX flow_glance_status ON flow_glance (node, responder, status, started, key);
CREATE INDEX flow_glance_origin ON flow_glance (node, origin, responder, status, started, key)
  WHERE origin IS NOT NULL
"""
_GLANCES_OF_ALL = (
    "CREATE INDEX flow_glance_started ON flow_glance (responder, started, key)",
    "CREATE INDEX flow_glance_request ON flow_glance (request, started)",
    "CREATE INDEX flow_glance_by_status ON flow_glance (responder, status, started, key)",
    (
        "CREATE INDEX flow_glance_ended ON flow_glance (ended, responder, node, status)"
        " WHERE ended IS NOT NULL"
    ),
)
"""Lists and counts of the flows of all nodes."""
_SCRIPTS = (_LOGS, _WORK, _STATES, _ACCOUNTS, _GLANCES)

_TRIGGERS = (
    *RECORD_TRIGGERS,
    *(
        f"CREATE TRIGGER {table}_pieces AFTER DELETE ON {table} WHEN OLD.pieces IS NOT NULL"  # noqa: S608  # constants
        " BEGIN UPDATE large SET is_forgotten = 1 WHERE owner = OLD.pieces; END"
        for table in ("records", "work", "journal")
    ),
)
_PIECES_EVERYWHERE = (
    *(
        f"ALTER TABLE {table} ADD COLUMN {column}"
        for table in ("records", "work", "journal")
        for column in ("pieces INTEGER", "large_bytes INTEGER NOT NULL DEFAULT 0")
    ),
    "ALTER TABLE large ADD COLUMN staged_at INTEGER",
    "CREATE INDEX large_staged ON large (staged_at) WHERE staged_at IS NOT NULL",
    "DROP TRIGGER records_in_whole",
    "DROP TRIGGER records_out_whole",
    *_TRIGGERS,
)
"""Version 1 had pieces of states alone."""

FLOWS = Schema(
    name="flows",
    version=3,
    statements={
        _DIALECT: (
            *(statement for script in _SCRIPTS for statement in script.strip().split(";\n")),
            *_GLANCES_OF_ALL,
            *_TRIGGERS,
        )
    },
    migrations={1: {_DIALECT: _PIECES_EVERYWHERE}, 2: {_DIALECT: _GLANCES_OF_ALL}},
)


def prepare(connection: sqlite3.Connection, place: str) -> None:
    """Create the tables of a new file, and migrate an older file.

    The caller holds a write transaction.

    Raises:
        SchemaTooNewError: the file was written by a newer release.
        sqlite3.Error: it cannot be read or written.
    """
    bring_up_to_date(
        lambda statement: connection.execute(statement).fetchall(),
        (FLOWS,),
        dialect=_DIALECT,
        place=place,
    )
