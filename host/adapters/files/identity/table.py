"""The row that identifies an SQLite file.

It is independent of the schema versions: it must be readable before the file's other content is
known. `generation` only grows; it is also recorded elsewhere, so that an older copy of the file is
recognised.
"""

import sqlite3
from dataclasses import dataclass

CREATE = (
    "CREATE TABLE IF NOT EXISTS file_identity (only INTEGER PRIMARY KEY CHECK (only = 1),"
    " kind TEXT NOT NULL, cluster_id TEXT NOT NULL, node TEXT NOT NULL,"
    " generation INTEGER NOT NULL)"
)
INSERT = "INSERT OR IGNORE INTO file_identity VALUES (1, ?, ?, ?, ?)"
SELECT = "SELECT kind, cluster_id, node, generation FROM file_identity"
ADD = "UPDATE file_identity SET generation = generation + 1"
RAISE = "UPDATE file_identity SET generation = max(generation, ?)"

FLOWS, CLUSTER, VAULT, UNIQUENESS = "flows", "cluster", "vault", "uniqueness"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileIdentity:
    """The identity of a file. `node` is a short hash, or empty for files of the cluster."""

    kind: str
    cluster_id: str
    node: str
    generation: int


def read_identity(connection: sqlite3.Connection) -> FileIdentity | None:
    """The identity in an open file; None if it has none.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    known = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'file_identity'"
    if connection.execute(known).fetchone() is None:
        return None
    row = connection.execute(SELECT).fetchone()
    if row is None:
        return None
    kind, cluster_id, node, generation = row
    return FileIdentity(kind=kind, cluster_id=cluster_id, node=node, generation=generation)


def give_identity(connection: sqlite3.Connection, identity: FileIdentity) -> None:
    """Write a file's identity, unless it has one. The caller holds a write transaction."""
    connection.execute(CREATE)
    connection.execute(
        INSERT, (identity.kind, identity.cluster_id, identity.node, identity.generation)
    )
