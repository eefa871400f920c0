"""Looks after the tables of a database that hosts share: the port `DatabaseUpkeep`."""

from collections.abc import Iterator, Sequence

from host.ports.database import Schema
from host.ports.storage import TablesState
from host.settings import HostSettings
from plugins.postgres import cpi_files, database, functions, master_keys, store
from plugins.postgres.connections import Session, Sessions
from plugins.postgres.storage import access_of, check_database


class PostgresUpkeep:
    """Looks after the database that the settings name."""

    def __init__(self, settings: HostSettings) -> None:
        self._access = access_of(settings)

    def check(self, registers: Sequence[Schema]) -> Sequence[TablesState]:
        check_database(self._access)
        sessions = Sessions(self._access)
        try:
            return sessions.read(lambda session: list(_states(session, registers)))
        finally:
            sessions.close()

    def migrate(self, registers: Sequence[Schema]) -> None:
        check_database(self._access)
        database.PostgresDatabase.open(self._access, registers).close()
        store.make_tables(self._access)
        functions.make_schema(self._access, cpi_files.FILES, cpi_files.TABLES)
        functions.make_schema(self._access, master_keys.KEYS, master_keys.TABLES)


def _states(session: Session, registers: Sequence[Schema]) -> Iterator[TablesState]:
    places = {
        functions.FUNCTIONS: (functions.FUNCTIONS_SCHEMA,),
        database.SCHEMA: (*registers, database.REVISION_SCHEMA),
        store.SCHEMA: (store.FLOWS,),
        cpi_files.FILES: (cpi_files.TABLES,),
        master_keys.KEYS: (master_keys.TABLES,),
    }
    for place, schemas in places.items():
        found = _versions(session, place)
        for schema in schemas:
            yield TablesState(
                place=place,
                name=schema.name,
                stored=found.get(schema.name),
                known=schema.version,
            )


def _versions(session: Session, place: str) -> dict[str, int]:
    """Versions by the names of schemas; nothing if the place has no tables."""
    there = session.run("SELECT to_regclass(:t)::text", t=f"{place}.schema_version")[0][0]
    if there is None:
        return {}
    rows = session.run(f"SELECT name, version FROM {place}.schema_version")  # noqa: S608  # a constant
    return {name: int(version) for name, version in rows}
