"""The register of locations: `host.ports.locations.Locations`, and its transitions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, update

from host.database.revision_cache import RevisionCache
from host.database.sql import Upsert
from host.domain.ids import EpochMs, ShortHash
from host.network.location.machine import Happened, step
from host.network.location.tables import LOCATION
from host.ports.clock import Clock
from host.ports.database import SqlDatabase
from host.ports.locations import Place

_PUT = Upsert(table=LOCATION, replace=("place", "transfer", "epoch", "location_id", "at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A node's row. `epoch` is what this copy claims, or was granted; see the table."""

    place: Place
    transfer: str
    epoch: int
    location_id: str | None
    at: EpochMs


class NodePlaces:
    """Thread-safe. The processes of a cluster share it.

    Args:
        database: the cluster's, opened with `host.network.location.tables.SCHEMA`.
        clock: the time of changes.
    """

    def __init__(self, database: SqlDatabase, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._found = RevisionCache(database, self._read)
        self._away = RevisionCache[str, Sequence[ShortHash]](
            database, lambda _key: self._read_away()
        )

    def away(self) -> Sequence[ShortHash]:
        return self._away.get("all")

    def _read_away(self) -> Sequence[ShortHash]:
        query = select(LOCATION.c.short_hash).where(LOCATION.c.place != Place.HERE.value)
        with self._database.read() as connection:
            return [ShortHash(each) for each in connection.execute(query).scalars()]

    def place(self, short_hash: ShortHash) -> Place:
        found = self._found.get(short_hash)
        return Place.HERE if found is None else found.place

    def claimed_epoch(self, short_hash: ShortHash) -> int:
        found = self._found.get(short_hash)
        return 0 if found is None else found.epoch

    def location(self, short_hash: ShortHash) -> Location | None:
        """The row of a node; None for one that never moved."""
        return self._found.get(short_hash)

    def _read(self, short_hash: ShortHash) -> Location | None:
        with self._database.read() as connection:
            return location_of(connection, short_hash)

    def change(
        self,
        short_hash: ShortHash,
        happened: Happened,
        *,
        transfer: str | None = None,
        epoch: int | None = None,
        location_id: str | None = None,
        also: Callable[[Connection], None] = lambda _connection: None,
    ) -> Place:
        """Move a node's location on, and do `also` in the same transaction.

        What is not given stays.

        Raises:
            LocationConflictError: it is not possible now; nothing has changed.
        """

        def work(connection: Connection) -> Place:
            place = self.change_in(
                connection,
                short_hash,
                happened,
                transfer=transfer,
                epoch=epoch,
                location_id=location_id,
            )
            also(connection)
            return place

        return self._database.transact(work)

    def change_in(
        self,
        connection: Connection,
        short_hash: ShortHash,
        happened: Happened,
        *,
        transfer: str | None = None,
        epoch: int | None = None,
        location_id: str | None = None,
    ) -> Place:
        """See `change`; in the caller's transaction."""
        found = location_of(connection, short_hash)
        before = Place.HERE if found is None else found.place
        wanted = step(None if happened is Happened.IMPORT and found is None else before, happened)
        _PUT.run(
            connection,
            {
                "short_hash": short_hash,
                "place": wanted.value,
                "transfer": transfer or ("" if found is None else found.transfer),
                "epoch": epoch if epoch is not None else (0 if found is None else found.epoch),
                "location_id": location_id or (None if found is None else found.location_id),
                "at": self._clock.now_ms(),
            },
        )
        return wanted

    def begin_import(
        self, connection: Connection, short_hash: ShortHash, transfer: str, *, epoch: int
    ) -> None:
        """Record that an import brings a node, perhaps after another one that has failed.

        Raises:
            LocationConflictError: the node is here, or was; or it was loaded meanwhile.
        """
        where = LOCATION.c.short_hash == short_hash, LOCATION.c.place == Place.IMPORTING.value
        change = update(LOCATION).where(*where).values(transfer=transfer, epoch=epoch)
        if connection.execute(change).rowcount != 1:
            self.change_in(connection, short_hash, Happened.IMPORT, transfer=transfer, epoch=epoch)

    def note_claim(self, short_hash: ShortHash, *, epoch: int, location_id: str) -> None:
        """Record what the copy of a node claims from now on; its place stays."""
        change = (
            update(LOCATION)
            .where(LOCATION.c.short_hash == short_hash)
            .values(epoch=epoch, location_id=location_id)
        )
        self._database.transact(lambda connection: connection.execute(change))

    def note_over(self, short_hash: ShortHash) -> None:
        """Record that a transfer is over: of a node that has moved nothing is left, or it works."""
        where = LOCATION.c.short_hash == short_hash
        change = update(LOCATION).where(where).values(transfer="")
        self._database.transact(lambda connection: connection.execute(change))

    def forget(self, short_hash: ShortHash) -> None:
        """Delete the row of a node whose import is given up."""
        self._database.transact(lambda connection: self.forget_in(connection, short_hash))

    def forget_in(self, connection: Connection, short_hash: ShortHash) -> None:
        """See `forget`; in the caller's transaction."""
        connection.execute(delete(LOCATION).where(LOCATION.c.short_hash == short_hash))


def location_of(connection: Connection, short_hash: ShortHash) -> Location | None:
    """The row of a node."""
    query = select(LOCATION).where(LOCATION.c.short_hash == short_hash)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return Location(
        place=Place(row.place),
        transfer=row.transfer,
        epoch=row.epoch,
        location_id=row.location_id,
        at=EpochMs(row.at),
    )
