"""The identity of a node's database: its node, and the number of its effects.

Its generation is raised by every row of the table that its kind counts, in the transaction of the
effect: of a vault, by each answer to a node's call; of a notary, by each result. So it needs no
extra write, and an older copy has a lower generation.
"""

from pathlib import Path

from sqlalchemy import Connection

from host.adapters.files.identity import table
from host.adapters.files.identity.files import FileState
from host.adapters.files.identity.marks import is_behind
from host.adapters.files.identity.table import FileIdentity
from host.adapters.sqlite.database import Database
from host.adapters.sqlite.node_files import NodeFile
from host.database.sql import dialect_of
from host.domain.ids import ShortHash

GENERATION = "SELECT generation FROM file_identity"
UNCOUNTED = 1 << 40
"""Initial count of vaults that had effects before counting was introduced."""


def give_node_identity(
    database: Database, file: NodeFile, cluster_id: str, node: ShortHash
) -> None:
    """Write the identity of `node`'s database, unless another process has done so."""

    def give(connection: Connection) -> None:
        is_counted = dialect_of(connection).has_table(connection, file.counted)
        had_effects = (
            is_counted and connection.exec_driver_sql(_any_effect(file)).first() is not None
        )
        connection.exec_driver_sql(table.CREATE)
        start = UNCOUNTED if had_effects else 0
        connection.exec_driver_sql(table.INSERT, (file.kind, cluster_id, node, start))
        if is_counted:
            connection.exec_driver_sql(_counting(file))

    database.transact(give)


def check_commits(
    file: NodeFile, path: Path, node: ShortHash, state: FileState, known: int | None
) -> None:
    """Refuse a database that lacks known commits.

    Args:
        file: its kind.
        path: the file.
        node: the database's node.
        state: the result of its inspection.
        known: the newest marked commit, None if there is none.

    Raises:
        StorageError: `file.older`; it lacks commits.
    """
    behind = state.lacks
    if behind is None and state.size and known is not None and is_behind(state.commits, known):
        behind = (known, state.commits)
    if behind is not None:
        raise file.older(
            f"the {file.called} of virtual node {node} is older than what is known of it:"
            f" commit {behind[1]}, expected {behind[0]} or later ({path})",
            path=str(path),
        )


def check_identity(
    file: NodeFile,
    path: Path,
    found: FileIdentity,
    *,
    cluster_id: str,
    node: ShortHash,
    noted: int,
) -> None:
    """Refuse a file that is not the database of `node`, or is an older one.

    Raises:
        StorageError: `file.foreign`, it is another database, or none; `file.older`, its generation
            is lower than the recorded one.
    """
    expected = (file.kind, cluster_id, node)
    if (found.kind, found.cluster_id, found.node) != expected:
        raise file.foreign(
            f"{path}: expected the {file.called} of virtual node {node} of cluster {cluster_id},"
            f" found {found.kind} {found.node or '-'} of cluster {found.cluster_id}",
            path=str(path),
        )
    if found.generation < noted:
        raise file.older(
            f"the {file.called} of virtual node {node} is older than what is known of it:"
            f" generation {found.generation}, expected {noted} or later ({path})",
            path=str(path),
        )


def _any_effect(file: NodeFile) -> str:
    return f"SELECT 1 FROM {file.counted} LIMIT 1"  # noqa: S608  # constants


def _counting(file: NodeFile) -> str:
    when = f" WHEN {file.counted_when}" if file.counted_when else ""
    return (
        f"CREATE TRIGGER IF NOT EXISTS count_effects AFTER INSERT ON {file.counted}{when}"
        f" BEGIN {table.ADD}; END"
    )
