"""The identity of a vault: its node, and the number of its effects.

Its generation is incremented with every stored answer, that is, with every effect of its node's
calls, in the effect's own transaction. So it needs no extra write, and an older copy has a lower
generation.
"""

from pathlib import Path

from sqlalchemy import Connection

from host.adapters.files.identity import table
from host.adapters.files.identity.files import FileState
from host.adapters.files.identity.marks import is_behind
from host.adapters.files.identity.table import VAULT, FileIdentity
from host.adapters.sqlite.database import Database
from host.adapters.sqlite.errors import VaultForeignError, VaultOlderError
from host.database.sql import dialect_of
from host.domain.ids import ShortHash

GENERATION = "SELECT generation FROM file_identity"
UNCOUNTED = 1 << 40
"""Initial count of vaults that had effects before counting was introduced."""

_ANY_ANSWER = "SELECT 1 FROM request_answer LIMIT 1"
_COUNTS = f"""
CREATE TRIGGER IF NOT EXISTS count_effects AFTER INSERT ON request_answer WHEN NEW.answer <> ''
BEGIN {table.ADD}; END
"""


def give_vault_identity(database: Database, cluster_id: str, node: ShortHash) -> None:
    """Write the identity of `node`'s vault, unless another process has done so."""

    def give(connection: Connection) -> None:
        has_answers = dialect_of(connection).has_table(connection, "request_answer")
        had_effects = has_answers and connection.exec_driver_sql(_ANY_ANSWER).first() is not None
        connection.exec_driver_sql(table.CREATE)
        start = UNCOUNTED if had_effects else 0
        connection.exec_driver_sql(table.INSERT, (VAULT, cluster_id, node, start))
        if has_answers:
            connection.exec_driver_sql(_COUNTS)

    database.transact(give)


def check_commits(path: Path, node: ShortHash, state: FileState, known: int | None) -> None:
    """Refuse a vault that lacks known commits.

    Args:
        path: the file.
        node: the vault's node.
        state: the result of its inspection.
        known: the newest marked commit, None if there is none.

    Raises:
        VaultOlderError: it lacks commits.
    """
    behind = state.lacks
    if behind is None and state.size and known is not None and is_behind(state.commits, known):
        behind = (known, state.commits)
    if behind is not None:
        raise VaultOlderError(
            f"the vault of virtual node {node} is older than what is known of it:"
            f" commit {behind[1]}, expected {behind[0]} or later ({path})",
            path=str(path),
        )


def check_vault(
    path: Path, found: FileIdentity, cluster_id: str, node: ShortHash, noted: int
) -> None:
    """Refuse a file that is not the vault of `node`, or is an older one.

    Raises:
        VaultForeignError: it is another vault, or not a vault.
        VaultOlderError: its generation is lower than the recorded one.
    """
    expected = (VAULT, cluster_id, node)
    if (found.kind, found.cluster_id, found.node) != expected:
        raise VaultForeignError(
            f"{path}: expected the vault of virtual node {node} of cluster {cluster_id},"
            f" found {found.kind} {found.node or '-'} of cluster {found.cluster_id}",
            path=str(path),
        )
    if found.generation < noted:
        raise VaultOlderError(
            f"the vault of virtual node {node} is older than what is known of it:"
            f" generation {found.generation}, expected {noted} or later ({path})",
            path=str(path),
        )
