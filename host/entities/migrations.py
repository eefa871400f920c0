"""Declared migrations of entities, as functions of one stored value.

A migration is `{"version": n, "steps": [step, ..]}` and leads from version n - 1 to n. Steps:

    {"op": "add", "field": name, "default": JSON}   where the field is missing
    {"op": "rename", "field": name, "to": name}
    {"op": "drop", "field": name}
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

from host.domain.json import JsonObject, JsonValue
from host.entities.errors import EntityDeclarationError, EntityMigrationError

_STEPS_MAX = 100
_NAME_CHARACTERS_MAX = 128

Step = Callable[[dict[str, JsonValue]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """The steps from the previous version to `version`."""

    version: int
    steps: tuple[Step, ...]


def compile_migrations(declared: Sequence[JsonObject], version: int) -> tuple[Migration, ...]:
    """Read the migrations of an entity at `version`, in order of their versions.

    Raises:
        EntityDeclarationError: one is malformed, missing, or for a version after `version`.
    """
    migrations = [_migration(item) for item in declared]
    found = [migration.version for migration in migrations]
    if found != list(range(2, version + 1)):
        raise EntityDeclarationError(
            f"version {version} needs one migration for each version from 2 on, in order;"
            f" found {', '.join(map(str, found)) or 'none'}"
        )
    return tuple(migrations)


def migrated(value: JsonValue, migrations: Sequence[Migration]) -> JsonValue:
    """A stored value after the migrations.

    Raises:
        EntityMigrationError: the value is not an object, or a renamed field's new name is in use.
    """
    if not migrations:
        return value
    if not isinstance(value, Mapping):
        raise EntityMigrationError("the stored value is no object")
    fields = dict(value)
    for migration in migrations:
        for step in migration.steps:
            step(fields)
    return fields


def _migration(item: JsonObject) -> Migration:
    version, steps = item.get("version"), item.get("steps")
    if set(item) != {"version", "steps"} or isinstance(version, bool):
        raise EntityDeclarationError("a migration is an object of 'version' and 'steps'")
    if not isinstance(version, int) or not isinstance(steps, list | tuple):
        raise EntityDeclarationError("a migration has a whole number and a list of steps")
    if len(steps) > _STEPS_MAX:
        raise EntityDeclarationError(f"migration {version} has more than {_STEPS_MAX} steps")
    return Migration(version=version, steps=tuple(_step(step) for step in steps))


def _step(item: JsonValue) -> Step:
    if not isinstance(item, Mapping):
        raise EntityDeclarationError(f"{item!r:.140} is no step of a migration")
    op, members = item.get("op"), set(item)
    if op == "add" and members == {"op", "field", "default"}:
        return _add(_name(item["field"]), item["default"])
    if op == "rename" and members == {"op", "field", "to"}:
        return _rename(_name(item["field"]), _name(item["to"]))
    if op == "drop" and members == {"op", "field"}:
        return _drop(_name(item["field"]))
    raise EntityDeclarationError(f"{dict(item)!r:.140} is no step of a migration")


def _name(value: JsonValue) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _NAME_CHARACTERS_MAX:
        raise EntityDeclarationError(f"{value!r:.140} names no field")
    return value


def _add(field: str, default: JsonValue) -> Step:
    def add(fields: dict[str, JsonValue]) -> None:
        fields.setdefault(field, deepcopy(default))

    return add


def _rename(field: str, to: str) -> Step:
    def rename(fields: dict[str, JsonValue]) -> None:
        if to in fields:
            raise EntityMigrationError(f"field {field!r} cannot become {to!r}: there is one")
        if field in fields:
            fields[to] = fields.pop(field)

    return rename


def _drop(field: str) -> Step:
    def drop(fields: dict[str, JsonValue]) -> None:
        fields.pop(field, None)

    return drop
