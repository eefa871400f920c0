"""Keeps a vault's entities at the schemas of its node's CPI.

All entities of a type fit the schema that is recorded for the type. Requests are served only when
the recorded schema is that of the CPI: the migration to it is one transaction, done once or not at
all.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from host.database.sql import JsonField, Upsert, dialect_of
from host.domain.call_time import CallTooSlowError, check_call_time, limited_call
from host.domain.capability_error import CapabilityError
from host.domain.ids import EpochMs, ShortHash
from host.domain.order_keys import NoKeyError
from host.domain.packages import CpiRecord
from host.entities.entity_types import EntityType, EntityTypes, Index
from host.entities.errors import EntityMigrationError, EntitySchemaTooNewError
from host.entities.migrations import Migration, migrated
from host.entities.tables import ENTITY, ENTITY_SCHEMA
from host.ports.clock import Clock
from host.ports.requests import canonical_text
from host.ports.schemas import Change, EntityChange
from host.ports.vaults import VaultAccess

MIGRATION_SECONDS_MAX = 600.0
"""Maximum of this thread's own work for all entities of a node, in seconds."""
_PAGE = 32
"""Entities per batch. Each may have 1 MB, and is in memory as text, as a value and as new text.
"""
_INDEX_PREFIX = "entity_by_"

_SELECT_SCHEMAS = select(ENTITY_SCHEMA)
_SELECT_PAGE = (
    select(ENTITY.c.key, ENTITY.c.value, ENTITY.c.sort_keys)
    .where(ENTITY.c.type == bindparam("entity_type"), ENTITY.c.key > bindparam("after"))
    .order_by(ENTITY.c.key)
    .limit(_PAGE)
)
_RECORD = Upsert(table=ENTITY_SCHEMA, replace=("version", "digest", "applied_at"))


class VaultSchemas:
    """Migrates vaults when a node gets a CPI."""

    def __init__(
        self,
        vaults: VaultAccess,
        types: EntityTypes,
        clock: Clock,
        work: Callable[[], float] = time.thread_time,
    ) -> None:
        """Set up migrations of vaults.

        Args:
            vaults: the vaults of all nodes.
            types: the entity types of all CPIs.
            clock: the time of changes to entities.
            work: returns the CPU seconds that this thread has used.
        """
        self._vaults = vaults
        self._types = types
        self._clock = clock
        self._work = work

    def check(self, cpi: CpiRecord) -> None:
        """Check that the entity declarations of `cpi` are valid for this release.

        Raises:
            EntityDeclarationError: a stored CPI that this release would not have stored.
        """
        self._types.of(cpi)

    def apply(self, holding: ShortHash, cpi: CpiRecord) -> None:
        """Migrate the entities of a node to the schemas of `cpi`; does nothing if already done.

        A node that has no vault yet has no entities; its first call migrates the vault.

        Raises:
            EntityMigrationError: a stored entity does not fit, or there are so many that it would
                take too long; the vault is unchanged.
            EntitySchemaTooNewError: the vault's schemas are newer than the CPI's.
        """
        types = self._types.of(cpi)
        if not self._vaults.is_made(holding):
            return
        with _limited_migration(self._work):
            self._vaults.transact(
                holding,
                lambda connection: bring_up_to_date(connection, types, self._clock.now_ms()),
            )

    def rehearse(self, holding: ShortHash, cpi: CpiRecord) -> Sequence[EntityChange]:
        """What `apply` would do, type by type, on one view of the vault."""
        types = self._types.of(cpi)
        if not self._vaults.is_made(holding):
            return [EntityChange(type=name, change=Change.ADDED) for name in sorted(types)]
        with self._vaults.read(holding) as connection, _limited_migration(self._work):
            known = {row.type: row for row in connection.execute(_SELECT_SCHEMAS)}
            return [
                _rehearsed(connection, entity, known.get(name))
                for name, entity in sorted(types.items())
            ]

    def reset(self, holding: ShortHash, cpi: CpiRecord) -> None:
        """Delete every entity of a node, then apply the schemas of `cpi`."""
        types = self._types.of(cpi)
        if not self._vaults.is_made(holding):
            return

        def begin_anew(connection: Connection) -> None:
            connection.execute(delete(ENTITY))
            connection.execute(delete(ENTITY_SCHEMA))
            bring_up_to_date(connection, types, self._clock.now_ms())

        with _limited_migration(self._work):
            self._vaults.transact(holding, begin_anew)


@contextmanager
def _limited_migration(work: Callable[[], float]) -> Iterator[None]:
    try:
        with limited_call(work, seconds_max=MIGRATION_SECONDS_MAX):
            yield
    except CallTooSlowError as exc:
        raise EntityMigrationError(
            f"the entities of the virtual node take more than {MIGRATION_SECONDS_MAX:.0f} seconds"
            " of work to migrate"
        ) from exc


def is_up_to_date(connection: Connection, types: Iterable[EntityType]) -> bool:
    """Whether the vault's entities of these types have the types' schemas."""
    wanted = {entity.name: entity for entity in types}
    rows = connection.execute(_SELECT_SCHEMAS.where(ENTITY_SCHEMA.c.type.in_(wanted))).all()
    return len(rows) == len(wanted) and all(_is(wanted[row.type], row) for row in rows)


def bring_up_to_date(connection: Connection, types: Mapping[str, EntityType], now: EpochMs) -> None:
    """Migrate all entities of a CPI's types, in the caller's transaction.

    Raises:
        EntityMigrationError, EntitySchemaTooNewError: roll the transaction back.
        CallTooSlowError: the time limit of the enclosing block is exceeded; rolls back as well.
    """
    known = {row.type: row for row in connection.execute(_SELECT_SCHEMAS)}
    for name, entity in sorted(types.items()):
        row = known.get(name)
        if row is None or not _is(entity, row):
            _rewrite(connection, entity, 1 if row is None else row.version, now)
            values = {"type": name, "version": entity.version, "digest": entity.digest}
            _RECORD.run(connection, {**values, "applied_at": now})
    _set_indexes(connection, {index for entity in types.values() for index in entity.indexes})


def _rehearsed(connection: Connection, entity: EntityType, row: Row[Any] | None) -> EntityChange:
    """What `bring_up_to_date` would do with the entities of a type."""
    changed = 0
    try:
        if row is not None and _is(entity, row):
            return EntityChange(type=entity.name, change=Change.NONE)
        for rows in _changes(connection, entity, 1 if row is None else row.version):
            changed += len(rows)
    except (EntityMigrationError, EntitySchemaTooNewError) as refused:
        return EntityChange(type=entity.name, change=Change.REFUSED, reason=refused.message)
    kind = Change.ADDED if row is None and not changed else Change.MIGRATED
    return EntityChange(type=entity.name, change=kind, entities=changed)


def _is(entity: EntityType, row: Row[Any]) -> bool:
    if row.version > entity.version:
        raise EntitySchemaTooNewError(
            f"entities {entity.name} of this virtual node are at version {row.version},"
            f" the CPI knows versions up to {entity.version}"
        )
    return bool(row.version == entity.version and row.digest == entity.digest)


def _rewrite(connection: Connection, entity: EntityType, version: int, now: EpochMs) -> None:
    """Migrate every stored entity of a type from `version` to its declared version."""
    change = update(ENTITY).where(
        ENTITY.c.type == entity.name, ENTITY.c.key == bindparam("changed_key")
    )
    for changed in _changes(connection, entity, version):
        if changed:
            connection.execute(change, [{**row, "updated_at": now} for row in changed])


def _changes(
    connection: Connection, entity: EntityType, version: int
) -> Iterator[list[dict[str, str]]]:
    """Key, value and order keys of entities that a migration from `version` changes, by page.

    Raises:
        EntityMigrationError: one does not fit.
    """
    migrations = [m for m in entity.migrations if m.version > version]
    for rows in _pages(connection, entity.name):
        changed = []
        for row in rows:
            check_call_time()
            value, keys = _migrated(entity, row.key, row.value, migrations)
            if (value, keys) != (row.value, row.sort_keys):
                changed.append({"changed_key": row.key, "value": value, "sort_keys": keys})
        yield changed


def _pages(connection: Connection, name: str) -> Iterator[Sequence[Row[str, str, str]]]:
    after = ""
    while rows := connection.execute(_SELECT_PAGE, {"entity_type": name, "after": after}).all():
        yield rows
        after = rows[-1].key


def _migrated(
    entity: EntityType, key: str, stored: str, migrations: Sequence[Migration]
) -> tuple[str, str]:
    """The value and its order keys."""
    try:
        value = migrated(json.loads(stored), migrations)
        problem = entity.problem(value)
        if problem is None:
            return canonical_text(value, "value"), entity.sort_keys(value)
    except CallTooSlowError:
        raise
    except (EntityMigrationError, CapabilityError) as exc:
        problem = exc.message
    except NoKeyError as exc:
        problem = str(exc)
    raise EntityMigrationError(
        f"entity {entity.name} {key!r} does not fit version {entity.version}: {problem}"
    )


def _set_indexes(connection: Connection, wanted: set[Index]) -> None:
    names = {_index_name(index): index for index in wanted}
    dialect = dialect_of(connection)
    existing = dialect.index_names(connection, _INDEX_PREFIX)
    for name in sorted(existing - set(names)):
        dialect.drop_index(connection, name)
    for name in sorted(set(names) - existing):
        # Includes the key, the last column of each query's order: so SQLite prefers this index to
        # the primary key's.
        fields = [
            JsonField(ENTITY.c.sort_keys if is_keyed else ENTITY.c.value, path)
            for path, is_keyed in names[name]
        ]
        dialect.create_index(connection, name, [ENTITY.c.type, *fields, ENTITY.c.key])


def _index_name(index: Index) -> str:
    text = "\n".join(f"{'key ' * is_keyed}{'.'.join(path)}" for path, is_keyed in index)
    return _INDEX_PREFIX + hashlib.sha256(text.encode()).hexdigest()[:24]
