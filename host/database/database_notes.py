"""What a register notes of nodes' databases: the newest state, and why one cannot be used."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Table, select

from host.database.sql import Upsert
from host.domain.errors import HostError
from host.domain.ids import ShortHash
from host.ports.database import SqlDatabase
from host.ports.vaults import DatabaseProblem


class DatabaseNotes:
    """Half of a `VaultRegister`. Thread-safe; the processes of a host share it.

    Args:
        database: the cluster's.
        table: a row for each node, with `short_hash`, `generation`, `problem_code` and `problem`.
    """

    def __init__(self, database: SqlDatabase, table: Table) -> None:
        self._database = database
        self._notes = table
        self._note = Upsert(table=table, greatest=("generation",))
        self._note_problem = Upsert(table=table, replace=("problem_code", "problem"))

    def noted(self, short_hash: ShortHash) -> int:
        table = self._notes
        statement = select(table.c.generation).where(table.c.short_hash == short_hash)
        with self._database.read() as connection:
            return int(connection.execute(statement).scalar_one_or_none() or 0)

    def note_generations(self, generations: Mapping[ShortHash, int]) -> None:
        rows = [{"short_hash": node, "generation": n} for node, n in generations.items()]
        self._database.transact(lambda connection: self._note.run(connection, rows))

    def note_problem(self, short_hash: ShortHash, problem: HostError | None) -> None:
        row = {
            "short_hash": short_hash,
            "generation": 0,
            "problem_code": None if problem is None else problem.code,
            "problem": None if problem is None else problem.public_message,
        }
        self._database.transact(lambda connection: self._note_problem.run(connection, row))

    def problems(self) -> Sequence[DatabaseProblem]:
        """The databases that cannot be used, for the host's status."""
        table = self._notes
        statement = (
            select(table).where(table.c.problem_code.is_not(None)).order_by(table.c.short_hash)
        )
        with self._database.read() as connection:
            return [
                DatabaseProblem(
                    short_hash=ShortHash(row.short_hash),
                    code=row.problem_code,
                    message=row.problem,
                )
                for row in connection.execute(statement)
            ]
