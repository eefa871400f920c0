"""Which nodes have a database of spent states, and the newest known state of each.

An empty or older database in the place of a lost one would let states be spent twice, so a database
is created once for each node, and refused if it lacks what is recorded here.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import BigInteger, Column, MetaData, String, Table, Text, select

from host.database.sql import Upsert
from host.domain.errors import HostError
from host.domain.ids import ShortHash
from host.ports.clock import Clock
from host.ports.database import Schema, SqlDatabase
from host.ports.vaults import DatabaseProblem, VaultRegister

_METADATA = MetaData()

NOTARY_DATABASE = Table(
    "notary_database",
    _METADATA,
    Column("short_hash", String(12), primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("made_at", BigInteger),
    Column("problem_code", Text),
    Column("problem", Text),
)
"""`generation` is the number of results that the database is known to have had."""

SCHEMA = Schema(name="notary", metadata=_METADATA)

_MADE = NOTARY_DATABASE.c.made_at.is_not(None)
_NOTE_MADE = Upsert(table=NOTARY_DATABASE, replace=("made_at",))
_NOTE = Upsert(table=NOTARY_DATABASE, greatest=("generation",))
_NOTE_PROBLEM = Upsert(table=NOTARY_DATABASE, replace=("problem_code", "problem"))


class MadeNotaries:
    """A `VaultRegister` of notaries' databases. Thread-safe; the processes of a host share it.

    Args:
        database: the cluster's.
        vaults: knows the virtual nodes.
        clock: gives the time at which a database was created.
    """

    def __init__(self, *, database: SqlDatabase, vaults: VaultRegister, clock: Clock) -> None:
        self._database = database
        self._vaults = vaults
        self._clock = clock

    def is_made(self, short_hash: ShortHash) -> bool:
        statement = select(NOTARY_DATABASE.c.short_hash).where(
            NOTARY_DATABASE.c.short_hash == short_hash, _MADE
        )
        with self._database.read() as connection:
            if connection.execute(statement).one_or_none() is not None:
                return True
        self._vaults.is_made(short_hash)  # refuses a node that is not registered
        return False

    def note_made(self, short_hash: ShortHash) -> None:
        row = {"short_hash": short_hash, "generation": 0, "made_at": self._clock.now_ms()}
        self._database.transact(lambda connection: _NOTE_MADE.run(connection, row))

    def noted(self, short_hash: ShortHash) -> int:
        statement = select(NOTARY_DATABASE.c.generation).where(
            NOTARY_DATABASE.c.short_hash == short_hash
        )
        with self._database.read() as connection:
            return int(connection.execute(statement).scalar_one_or_none() or 0)

    def note_generations(self, generations: Mapping[ShortHash, int]) -> None:
        rows = [{"short_hash": node, "generation": n} for node, n in generations.items()]
        self._database.transact(lambda connection: _NOTE.run(connection, rows))

    def note_problem(self, short_hash: ShortHash, problem: HostError | None) -> None:
        row = {
            "short_hash": short_hash,
            "generation": 0,
            "problem_code": None if problem is None else problem.code,
            "problem": None if problem is None else problem.public_message,
        }
        self._database.transact(lambda connection: _NOTE_PROBLEM.run(connection, row))

    def problems(self) -> Sequence[DatabaseProblem]:
        """The databases that cannot be used, for the host's status."""
        statement = (
            select(NOTARY_DATABASE)
            .where(NOTARY_DATABASE.c.problem_code.is_not(None))
            .order_by(NOTARY_DATABASE.c.short_hash)
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

    def made(self) -> Sequence[ShortHash]:
        """The nodes whose database was created."""
        statement = select(NOTARY_DATABASE.c.short_hash).where(_MADE)
        with self._database.read() as connection:
            return [ShortHash(row.short_hash) for row in connection.execute(statement)]
