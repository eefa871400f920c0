"""Tables in schemas of PostgreSQL: their owner makes and migrates them, hosts only verify them."""

from collections.abc import Callable, Sequence
from typing import Any

from host.database.schema_versions import Execute, SchemaTooNewError, bring_up_to_date
from host.domain.errors import StorageError
from host.ports.database import Schema
from plugins.postgres.connections import PATIENCE, Access, Session, Sessions

FUNCTIONS = "cordbox_functions"
"""The schema of the functions that statements use."""


class TablesNotReadyError(StorageError):
    """The database has not the tables of this release yet."""

    code = "database-tables-not-ready"


def make_namespace(execute: Execute, name: str) -> None:
    """Create a schema of PostgreSQL if there is none, and use it in the caller's transaction.

    The caller holds a lock by which it has waited for others that do the same. The catalogue is
    queried, because sessions remember which names do not exist.
    """
    if not execute(f"SELECT 1 FROM pg_namespace WHERE nspname = '{name}'"):  # noqa: S608  # no text of others
        execute(f'CREATE SCHEMA "{name}"')
    execute(f'SET LOCAL search_path = "{name}", {FUNCTIONS}')


def make_schema(
    access: Access, name: str, schema: Schema, *, then: Callable[[Session], None] | None = None
) -> None:
    """Create a schema of PostgreSQL from SQL statements, or migrate it.

    Args:
        access: the owner's.
        name: of the schema of PostgreSQL.
        schema: its tables.
        then: runs in the same transaction.

    Raises:
        SchemaTooNewError: a newer release has written the database.
        StorageError: the database cannot be written.
    """
    sessions = Sessions(access)

    def make(session: Session) -> None:
        def execute(statement: str) -> Sequence[Sequence[Any]]:
            return session.raw.execute_simple(statement).rows or ()

        with session.transaction():
            session.simple(PATIENCE)
            session.run("SELECT pg_advisory_xact_lock(hashtextextended('cordbox tables', 0))")
            make_namespace(execute, name)
            bring_up_to_date(
                execute,
                (schema,),
                dialect="postgresql",
                place=f"{access.address}, schema {name}",
            )
            if then is not None:
                then(session)

    try:
        sessions.use(make)
    finally:
        sessions.close()


def check_tables(access: Access, name: str, schemas: Sequence[Schema]) -> None:
    """Refuse tables of another release.

    Raises:
        TablesNotReadyError: tables are missing or older; names the command that makes them.
        SchemaTooNewError: a newer release has migrated them.
        StorageError: the database cannot be used.
    """
    sessions = Sessions(access)
    try:
        stored = sessions.read(lambda session: versions(session, name))
    finally:
        sessions.close()
    for schema in schemas:
        _check_version(f"database {access.address}, schema {name}", schema, stored)


def _check_version(place: str, schema: Schema, stored: dict[str, int]) -> None:
    found = stored.get(schema.name)
    if found is None:
        command = "migrate" if stored else "init"
        raise TablesNotReadyError(
            f"{place}: the tables of {schema.name} are missing: run `cordbox database {command}`"
        )
    if found < schema.version:
        raise TablesNotReadyError(
            f"{place}: the tables of {schema.name} have version {found}, this release needs version"
            f" {schema.version}: run `cordbox database migrate`"
        )
    if found > schema.version:
        raise SchemaTooNewError(
            f"{place}: the tables of {schema.name} have version {found}, this release knows"
            f" versions up to {schema.version}"
        )


def versions(session: Session, name: str) -> dict[str, int]:
    """Versions by the names of schemas; nothing if this schema of PostgreSQL has no tables."""
    there = session.run("SELECT to_regclass(:t)::text", t=f"{name}.schema_version")[0][0]
    if there is None:
        return {}
    rows = session.run(f"SELECT name, version FROM {name}.schema_version")  # noqa: S608  # a constant
    return {schema: int(version) for schema, version in rows}
