"""Looks after the tables of a database that hosts share: the port `DatabaseUpkeep`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from typing import TypeVar

from pg8000.native import identifier

from host.adapters.partitions import PARTITIONS
from host.domain.errors import StorageError
from host.ports.clock import Entropy
from host.ports.database import Schema
from host.ports.keys import MasterKeys
from host.ports.storage import Administrator, TablesState
from host.ports.units import FlowStore
from host.settings import HostSettings
from plugins.postgres import audit_key, cpi_files, database, functions, master_keys, store
from plugins.postgres.connections import Access, Session, Sessions
from plugins.postgres.errors import is_missing_database
from plugins.postgres.roles import (
    OWNER,
    close_role_changes,
    grant_rows,
    make_roles,
    owner_of,
)
from plugins.postgres.storage import (
    PostgresStorage,
    access_of,
    check_database,
    open_flow_store,
    open_master_keys,
)
from plugins.postgres.tables import FUNCTIONS, make_schema, versions

T = TypeVar("T")

_MAINTENANCE = "postgres"
"""A database that every server has."""


class DatabaseInUseError(StorageError):
    """The database has tables of Cordbox already."""

    code = "database-in-use"


class PostgresUpkeep:
    """Looks after the database that the settings name."""

    def __init__(self, settings: HostSettings) -> None:
        self._settings = settings
        self._access = access_of(settings)

    def check(self, registers: Sequence[Schema]) -> Sequence[TablesState]:
        check_database(self._access)
        return _once(self._access, lambda session: list(_states(session, registers)))

    def init(self, registers: Sequence[Schema], *, by: Administrator, partitions: int) -> bool:
        access = self._access.as_user(by.name, by.password)
        host = self._access.address
        _make_database(access)
        check_database(access)

        def prepare(session: Session) -> bool:
            if owner_of(session, store.SCHEMA) is not None:
                raise DatabaseInUseError(f"database {access.address} has tables of Cordbox already")
            with session.transaction():
                make_roles(session, owner=OWNER, host=host.user, password=self._access.password)
                return close_role_changes(session, OWNER)

        is_closed = _once(access, prepare)
        self._make(access.in_role(OWNER), registers, partitions)
        return is_closed

    def master_keys(self, entropy: Entropy) -> AbstractContextManager[MasterKeys]:
        return closing(open_master_keys(self._settings, entropy))

    def storage(self) -> PostgresStorage:
        return PostgresStorage(self._settings)

    def flows(self) -> FlowStore:
        return open_flow_store(self._settings)

    def migrate(self, registers: Sequence[Schema], *, by: Administrator) -> None:
        access = self._access.as_user(by.name, by.password)
        check_database(access)
        owner = _once(access, lambda session: owner_of(session, store.SCHEMA))
        if owner is None:
            raise StorageError(
                f"database {access.address} has no tables: run `cordbox database init`",
                database=str(access.address),
            )
        self._make(access.in_role(owner), registers)

    def _make(
        self, owner: Access, registers: Sequence[Schema], partitions: int = PARTITIONS
    ) -> None:
        functions.make_functions(owner)
        opened = database.PostgresDatabase(owner)
        try:
            opened.make_tables(registers)
        finally:
            opened.close()
        make_schema(owner, cpi_files.FILES, cpi_files.TABLES)
        make_schema(owner, master_keys.KEYS, master_keys.TABLES)
        make_schema(owner, master_keys.KEYS, audit_key.TABLES)
        # The last one, by which an unfinished `init` is told from a finished one.
        store.make_tables(owner, partitions=partitions)
        grant_rows(owner, _schemas(registers), self._access.address.user)


def _once(access: Access, work: Callable[[Session], T]) -> T:
    sessions = Sessions(access)
    try:
        return sessions.use(work)
    finally:
        sessions.close()


def _make_database(access: Access) -> None:
    """Create the database if the server has none of this name."""
    try:
        _once(access, lambda session: session.run("SELECT 1"))
    except StorageError as exc:
        if not is_missing_database(exc.__cause__):
            raise
    else:
        return
    elsewhere = replace(access, address=replace(access.address, database=_MAINTENANCE))
    name = identifier(access.address.database)
    create = f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"
    _once(elsewhere, lambda session: session.simple(create))


def _schemas(registers: Sequence[Schema]) -> Mapping[str, Sequence[Schema]]:
    return {
        FUNCTIONS: (functions.FUNCTIONS_SCHEMA,),
        database.SCHEMA: (*registers, database.REVISION_SCHEMA),
        store.SCHEMA: (store.FLOWS,),
        cpi_files.FILES: (cpi_files.TABLES,),
        master_keys.KEYS: (master_keys.TABLES, audit_key.TABLES),
    }


def _states(session: Session, registers: Sequence[Schema]) -> Iterator[TablesState]:
    for place, schemas in _schemas(registers).items():
        found = versions(session, place)
        for schema in schemas:
            yield TablesState(
                place=place,
                name=schema.name,
                stored=found.get(schema.name),
                known=schema.version,
            )
