"""Versions of sections in the cluster's database, with user and time of each change."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
)

from host.domain.errors import ConflictError
from host.ports.database import REMEMBERED, Schema, SqlDatabase
from host.settings.live import StoredSection
from host.settings.section import NAME_CHARACTERS_MAX, SchemaVersion

VERSIONS_KEPT = 100
"""Kept versions of each section; the oldest are deleted first."""

TABLE = "config_section"

_METADATA = MetaData()
_VERSIONS = Table(
    TABLE,
    _METADATA,
    Column("section", String(NAME_CHARACTERS_MAX), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("schema_major", Integer, nullable=False),
    Column("schema_minor", Integer, nullable=False),
    Column("config", Text, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_by", String(255), nullable=False),
    info=REMEMBERED,
)
SCHEMA = Schema(name="config", metadata=_METADATA)

_NEWEST = select(_VERSIONS.c.section, func.max(_VERSIONS.c.version).label("version")).group_by(
    _VERSIONS.c.section
)


class ConfigVersionConflictError(ConflictError):
    """A section was changed meanwhile: its version is not the one that the change is based on."""

    code = "config-version-conflict"


class SectionStore:
    """The stored versions of all sections. Thread-safe.

    Args:
        database: the cluster's, opened with this module's `SCHEMA`.
    """

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    def revision(self) -> int:
        """A number that changes with every commit of a version, by any process.

        Raises:
            StorageError: the database cannot be read.
        """
        return self._database.revision()

    def newest(self) -> Mapping[str, StoredSection]:
        """The newest version of each changed section, by name.

        Raises:
            StorageError: the database cannot be read.
        """
        with self._database.read() as connection:
            return newest_of(connection)

    def history(self, section: str) -> Sequence[StoredSection]:
        """The kept versions of a section, the newest first.

        Raises:
            StorageError: the database cannot be read.
        """
        found = select(_VERSIONS).where(_VERSIONS.c.section == section)
        with self._database.read() as connection:
            rows = connection.execute(found.order_by(_VERSIONS.c.version.desc()))
            return [_stored(row) for row in rows]

    def add(self, stored: StoredSection) -> None:
        """Store a version that follows the newest one.

        Raises:
            ConfigVersionConflictError: its number is not the next one; nothing has changed.
            StorageError: the database cannot be written; nothing has changed.
        """
        row = {
            "section": stored.name,
            "version": stored.version,
            "schema_major": stored.schema_version.major,
            "schema_minor": stored.schema_version.minor,
            "config": json.dumps(stored.config),
            "changed_at": stored.changed_at,
            "changed_by": stored.changed_by,
        }

        def work(connection: Connection) -> None:
            newest = connection.execute(
                select(func.max(_VERSIONS.c.version)).where(_VERSIONS.c.section == stored.name)
            ).scalar_one()
            if (newest or 0) + 1 != stored.version:
                raise ConfigVersionConflictError(
                    f"section {stored.name} has version {newest or 0},"
                    f" the change was made of version {stored.version - 1}"
                )
            connection.execute(insert(_VERSIONS), row)
            connection.execute(
                delete(_VERSIONS).where(
                    _VERSIONS.c.section == stored.name,
                    _VERSIONS.c.version <= stored.version - VERSIONS_KEPT,
                )
            )

        self._database.transact(work)


def newest_of(connection: Connection) -> Mapping[str, StoredSection]:
    """The newest version of each section, read by a connection to the cluster's database."""
    newest = _NEWEST.subquery()
    found = select(_VERSIONS).join(
        newest,
        (_VERSIONS.c.section == newest.c.section) & (_VERSIONS.c.version == newest.c.version),
    )
    return {row.section: _stored(row) for row in connection.execute(found)}


def _stored(row: Row[Any]) -> StoredSection:
    return StoredSection(
        name=row.section,
        version=row.version,
        schema_version=SchemaVersion(major=row.schema_major, minor=row.schema_minor),
        config=msgspec.json.decode(row.config, type=dict),
        changed_at=row.changed_at,
        changed_by=row.changed_by,
    )
