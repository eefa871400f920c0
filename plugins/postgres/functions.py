"""Functions of JSON and of order keys that statements of features use, in a schema of their own."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from host.database.schema_versions import Execute, bring_up_to_date
from host.ports.database import Schema
from plugins.postgres.connections import PATIENCE, Access, Session, Sessions

FUNCTIONS = "cordbox_functions"
FUNCTIONS_SCHEMA = Schema(
    name="functions",
    statements={"postgresql": (files(__package__).joinpath("functions.sql").read_text("utf-8"),)},
)


def make_functions(access: Access) -> None:
    """Create or migrate the functions; of several processes, one at a time does.

    Raises:
        SchemaTooNewError: a newer release has written the database.
        StorageError: the database cannot be written.
    """
    make_schema(access, FUNCTIONS, FUNCTIONS_SCHEMA)


def make_namespace(execute: Execute, name: str) -> None:
    """Create a schema of PostgreSQL if there is none, and use it in the caller's transaction.

    The caller holds a lock by which it has waited for others that do the same. The catalogue is
    queried, because sessions remember which names do not exist.
    """
    if not execute(f"SELECT 1 FROM pg_namespace WHERE nspname = '{name}'"):  # noqa: S608  # no text of others
        execute(f'CREATE SCHEMA "{name}"')
    execute(f'SET LOCAL search_path = "{name}", {FUNCTIONS}')


def make_schema(access: Access, name: str, schema: Schema) -> None:
    """Create a schema of PostgreSQL from SQL statements, or migrate it.

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

    try:
        sessions.use(make)
    finally:
        sessions.close()
