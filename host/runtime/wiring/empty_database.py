"""Whether the database of a cluster is one that no host has used."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Table, func, select

from host.database.node_rows import tables_of
from host.domain.errors import HostError
from host.ports.database import SqlDatabase
from host.ports.storage import DatabaseUpkeep
from host.runtime.plugin_loading import make_plugin_manager
from host.runtime.wiring.schemas import CLUSTER_SCHEMAS
from host.settings import HostSettings


class DatabaseUsedError(HostError):
    """The database has content, where only a new one will do."""

    code = "database-used"


def refuse_used_database(settings: HostSettings, purpose: str) -> None:
    """Refuse the database that the settings name, if they name one, unless it is new.

    Args:
        settings: of a host.
        purpose: what needs a database of its own, for the message.

    Raises:
        DatabaseUsedError: a host has used it.
        StorageError: it cannot be read.
    """
    plugins = make_plugin_manager(settings.loaded_plugins)
    upkeep: DatabaseUpkeep | None = plugins.hook.register_database_upkeep(settings=settings)
    if upkeep is None:
        return
    database = upkeep.storage().open_database(CLUSTER_SCHEMAS)
    try:
        used = used_table(database, cluster_tables())
    finally:
        database.close()
    if used is not None:
        raise DatabaseUsedError(
            f"{settings.database_url} has rows in table {used}: {purpose} needs a database that"
            " `cordbox database init` has just made, which no host has used"
        )


def cluster_tables() -> Mapping[Table, None]:
    """The tables of the registers."""
    return dict.fromkeys(tables_of(s.metadata for s in CLUSTER_SCHEMAS if s.metadata is not None))


def used_table(database: SqlDatabase, tables: Iterable[Table]) -> str | None:
    """The first of the tables that has rows."""
    with database.read() as connection:
        for table in tables:
            if connection.execute(select(func.count()).select_from(table)).scalar_one():
                return table.name
    return None
