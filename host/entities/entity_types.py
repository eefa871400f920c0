"""The entity types of a CPI, with compiled schemas, queries, migrations and indexes."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from host.domain.errors import HostError
from host.domain.ids import Checksum
from host.domain.json import JsonValue, digest_of
from host.domain.json_schema import JsonSchema, JsonSchemaInvalidError
from host.domain.order_keys import OrderKind
from host.domain.packages import CpiRecord, CpkRecord, EntityDeclaration
from host.entities.errors import EntityDeclarationError
from host.entities.fields import FieldKinds, FieldPath, sort_keys_of
from host.entities.migrations import Migration, compile_migrations
from host.entities.queries import NamedQuery, compile_query, path_of

QUERIES_MAX = 100
INDEXES_MAX = 8
_INDEX_FIELDS_MAX = 4
_KEY_FIELDS_MAX = 16
_KEPT_MAX = 256


Index = tuple[tuple[FieldPath, bool], ...]
"""Fields, each as the path of names to it, and whether it is indexed by its order key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityType:
    """One entity type.

    Attributes:
        digest: changes with the schema, the indexes and the order keys.
        indexes: lists of fields.
        keyed: the fields whose order keys are stored, with what they stand for.
    """

    name: str
    version: int
    digest: str
    schema: JsonSchema
    migrations: tuple[Migration, ...]
    queries: Mapping[str, NamedQuery]
    indexes: tuple[Index, ...]
    keyed: tuple[tuple[FieldPath, OrderKind], ...]

    def sort_keys(self, value: JsonValue) -> str:
        """The order keys of the fields that queries and indexes use, as JSON.

        Raises:
            NoKeyError: a field holds what its schema does not declare.
        """
        return sort_keys_of(value, self.keyed)

    def problem(self, value: JsonValue) -> str | None:
        """Why `value` does not fit the schema, or None."""
        misfit = self.schema.misfit(value)
        return None if misfit is None else f"{misfit.path}: {misfit.message[:200]}"


def compile_entity(declared: EntityDeclaration) -> EntityType:
    """Check and compile a declaration.

    Raises:
        EntityDeclarationError: the message names the entity and what is wrong.
    """
    try:
        return _compiled(declared)
    except HostError as exc:
        raise EntityDeclarationError(f"entity {declared.name}: {exc.message}") from exc


def _compiled(declared: EntityDeclaration) -> EntityType:
    for name, found, most in (
        ("queries", len(declared.queries), QUERIES_MAX),
        ("indexes", len(declared.indexes), INDEXES_MAX),
        ("key fields", len(declared.key), _KEY_FIELDS_MAX),
    ):
        if found > most:
            raise EntityDeclarationError(f"{found} {name}, at most {most} are allowed")
    try:
        schema = JsonSchema(declared.schema)
    except JsonSchemaInvalidError as exc:
        raise EntityDeclarationError(f"no JSON Schema: {exc.message}") from exc
    fields = FieldKinds(declared.schema)
    queries = [compile_query(query, fields) for query in declared.queries]
    by_name = {query.name: query for query in queries}
    if len(by_name) != len(queries):
        raise EntityDeclarationError("two queries have one name")
    indexed = [[path_of(field) for field in paths] for paths in declared.indexes]
    if not all(1 <= len(paths) <= _INDEX_FIELDS_MAX for paths in indexed):
        raise EntityDeclarationError(f"an index has 1 to {_INDEX_FIELDS_MAX} fields")
    kinds = {path: fields.kind(path) for paths in indexed for path in paths}
    keyed = {p: k for p, k in kinds.items() if isinstance(k, OrderKind)}
    for query in queries:
        keyed |= query.keyed
    return EntityType(
        name=declared.name,
        version=declared.version,
        digest=digest_of(
            {
                "schema": declared.schema,
                "indexes": declared.indexes,
                "keyed": sorted(f"{kind} {'.'.join(path)}" for path, kind in keyed.items()),
            }
        ),
        schema=schema,
        migrations=compile_migrations(declared.migrations, declared.version),
        queries=by_name,
        indexes=tuple(tuple((path, path in keyed) for path in paths) for paths in indexed),
        keyed=tuple(sorted(keyed.items())),
    )


class EntityTypes:
    """The entity types of CPIs, compiled once. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Checksum, tuple[tuple[CpkRecord, ...], Mapping[str, EntityType]]]
        self._kept = OrderedDict()

    def of(self, cpi: CpiRecord) -> Mapping[str, EntityType]:
        """The types that the CPKs of a CPI declare, by name.

        Raises:
            EntityDeclarationError: a stored CPI is not valid for this release.
        """
        with self._lock:
            kept = self._kept.get(cpi.file_checksum)
            if kept is not None and kept[0] == cpi.cpks:
                self._kept.move_to_end(cpi.file_checksum)
                return kept[1]
        types = {e.name: compile_entity(e) for cpk in cpi.cpks for e in cpk.entities}
        with self._lock:
            self._kept[cpi.file_checksum] = (cpi.cpks, types)
            while len(self._kept) > _KEPT_MAX:
                self._kept.popitem(last=False)
        return types
