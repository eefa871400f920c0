"""Which nodes have a database of spent states, and the newest known state of each.

An empty or older database in the place of a lost one would let states be spent twice, so a database
is created once for each node, and refused if it lacks what is recorded here.
"""

from collections.abc import Sequence

from sqlalchemy import BigInteger, Column, MetaData, String, Table, Text, select

from host.database.database_notes import DatabaseNotes
from host.database.sql import Upsert
from host.domain.ids import ShortHash
from host.ports.clock import Clock
from host.ports.database import Schema, SqlDatabase
from host.ports.vaults import VaultRegister

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


class MadeNotaries(DatabaseNotes):
    """A `VaultRegister` of notaries' databases. Thread-safe; the processes of a host share it.

    Args:
        database: the cluster's.
        vaults: knows the virtual nodes.
        clock: gives the time at which a database was created.
    """

    def __init__(self, *, database: SqlDatabase, vaults: VaultRegister, clock: Clock) -> None:
        super().__init__(database, NOTARY_DATABASE)
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

    def made(self) -> Sequence[ShortHash]:
        """The nodes whose database was created."""
        statement = select(NOTARY_DATABASE.c.short_hash).where(_MADE)
        with self._database.read() as connection:
            return [ShortHash(row.short_hash) for row in connection.execute(statement)]
