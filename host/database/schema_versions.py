"""Versions of schemas: how a database gets its tables, and how older ones are brought up to date.

The one mechanism for all databases: the cluster's, vaults, the flow store. Each holds any number of
schemas, every one with its version in the table `schema_version`. The caller holds an exclusive
write transaction, so a database is never left between two versions.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from host.domain.errors import StorageError
from host.ports.database import EVERY, Schema

Execute = Callable[[str], Sequence[Sequence[Any]]]
"""Executes one statement; returns its rows."""
Conversion = Callable[[Connection], None]

_TABLE = (
    "CREATE TABLE IF NOT EXISTS schema_version"
    " (name VARCHAR(64) NOT NULL PRIMARY KEY, version INTEGER NOT NULL)"
)
SELECT_VERSIONS = "SELECT name, version FROM schema_version"


class SchemaTooNewError(StorageError):
    """The database was written by a newer release."""

    code = "storage-schema-too-new"


def bring_up_to_date(
    execute: Execute,
    schemas: Sequence[Schema],
    *,
    dialect: str,
    place: str,
    create: Callable[[Schema], None] = lambda _: None,
    convert: Callable[[Conversion], None] | None = None,
) -> None:
    """Create the tables of missing schemas, and migrate older ones step by step.

    Args:
        execute: a connection's, within a transaction.
        schemas: the schemas of this release.
        dialect: SQLAlchemy's name of the database's SQL, by which statements are chosen.
        place: names the database in refusals.
        create: creates the tables of a schema's `metadata`.
        convert: runs a schema's conversion on a connection within the transaction; a database that
            is not SQLAlchemy's has no schema with conversions.

    Raises:
        SchemaTooNewError: a newer release has written the database.
    """
    execute(_TABLE)
    found = {name: int(version) for name, version in execute(SELECT_VERSIONS)}
    for schema in schemas:
        version = found.get(schema.name)
        if version is None:
            create(schema)
            _run(execute, schema.statements, dialect)
            execute(f"INSERT INTO schema_version VALUES ('{schema.name}', {schema.version})")  # noqa: S608  # constants
        elif version > schema.version:
            raise SchemaTooNewError(
                f"database {place}: schema {schema.name} has version {version},"
                f" this release knows versions up to {schema.version}"
            )
        elif version < schema.version:
            for step in range(version, schema.version):
                _run(execute, schema.migrations[step], dialect)
                if convert is not None and step in schema.conversions:
                    convert(schema.conversions[step])
            execute(
                f"UPDATE schema_version SET version = {schema.version}"  # noqa: S608  # constants
                f" WHERE name = '{schema.name}'"
            )


def _run(execute: Execute, statements: Mapping[str, Sequence[str]], dialect: str) -> None:
    for statement in statements.get(dialect, statements.get(EVERY, ())):
        execute(statement)
