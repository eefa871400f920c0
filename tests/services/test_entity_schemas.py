"""Schemas of entities and their migrations: once, in order, or not at all."""

import pytest

from host.adapters.sqlite.vaults import Vaults
from host.domain.capability_error import CapabilityError
from host.domain.clock import SimClock
from host.domain.packages import EntityDeclaration
from host.entities import SCHEMA, EntityCapability, EntityTypes, VaultSchemas, compile_entity
from host.entities.errors import (
    EntityDeclarationError,
    EntityMigrationError,
    EntitySchemaTooNewError,
)
from host.vault.idempotency import REQUESTS
from tests.services.support import ALICE, BOB, NOW, context, holding
from tests.services.test_entity_queries import cpi_of

FISH = "pets.Fish"
NODE = holding(ALICE).short_hash


def schema(**properties):
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


TEXT, INT = {"type": "string"}, {"type": "integer"}
V1 = EntityDeclaration(name=FISH, key=("id",), schema=schema(id=TEXT, colour=TEXT))
TO_2 = {"version": 2, "steps": [{"op": "add", "field": "fins", "default": 7}]}
TO_3 = {
    "version": 3,
    "steps": [
        {"op": "rename", "field": "fins", "to": "finCount"},
        {"op": "drop", "field": "colour"},
    ],
}
V2 = EntityDeclaration(
    name=FISH,
    key=("id",),
    schema=schema(id=TEXT, colour=TEXT, fins=INT),
    version=2,
    migrations=(TO_2,),
)
V3 = EntityDeclaration(
    name=FISH,
    key=("id",),
    schema=schema(id=TEXT, finCount=INT),
    version=3,
    migrations=(TO_2, TO_3),
    indexes=(("finCount",),),
)


@pytest.fixture
def vaults(tmp_path):
    vaults = Vaults(tmp_path / "vnodes", [REQUESTS, SCHEMA])
    for name in (ALICE, BOB):
        vaults.create(holding(name).short_hash)
    yield vaults
    vaults.close()


@pytest.fixture
def schemas(vaults):
    return VaultSchemas(vaults, EntityTypes(), SimClock(NOW))


class Fish:
    """A flow of `name` under a CPI that declares one version of fish."""

    def __init__(self, vaults, entity, name=ALICE, flow="f"):
        self.entities, self.record, self.name = EntityCapability(vaults), cpi_of(entity), name
        self.flow, self.count = flow, 0

    def _call(self, function, request):
        self.count += 1
        return self.entities.call(
            context(self.name, self.count, cpi_record=self.record, flow_id=self.flow),
            function,
            request,
        )

    def write(self, op, key, value):
        return self._call("write", {"op": op, "entities": [
            {"type": FISH, "key": key, "value": value}]})  # fmt: skip

    def all(self):
        request = {"op": "find-all", "type": FISH, "offset": 0, "limit": 1000}
        return self._call("read", request)["results"]


def indexes(vaults, node=NODE):
    with vaults.read(node) as connection:
        names = {
            "sqlite": "SELECT name FROM sqlite_master WHERE type = 'index'",
            "postgresql": "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()",
        }[connection.dialect.name]
        found = connection.exec_driver_sql(names).scalars()
        return sum(name.startswith("entity_by_") for name in found)


def test_a_schema_may_have_patterns_and_none_of_them_takes_long(vaults):
    decimal = {"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?$"}
    declared = EntityDeclaration(
        name=FISH,
        key=("id",),
        schema={
            "properties": {"id": decimal},
            "patternProperties": {"^(a|a)*$": {}},
            "additionalProperties": False,
        },
    )
    fish = Fish(vaults, declared)
    fish.write("persist", "a", {"id": "1.5"})
    for value in ({"id": "x"}, {"a" * 200 + "b": 1}):
        with pytest.raises(CapabilityError) as refused:
            fish.write("merge", "a", value)
        assert refused.value.code == "entity-invalid"
    assert fish.all() == [{"id": "1.5"}]


def test_values_must_fit_the_declared_schema(vaults):
    fish = Fish(vaults, V1)
    for value, part in (
        ({"id": "a"}, "'colour' is a required property"),
        ({"id": "a", "colour": 5}, "$.colour: 5 is not of type 'string'"),
        ({"id": "a", "colour": "red", "x": 1}, "'x' was unexpected"),
        ("a", "is not of type 'object'"),
    ):
        with pytest.raises(CapabilityError) as refused:
            fish.write("merge", "a", value)
        assert refused.value.code == "entity-invalid"
        assert part in refused.value.message
    assert fish.all() == []


def test_migrations_apply_in_order_when_a_node_gets_a_cpi(vaults, schemas):
    old = Fish(vaults, V1)
    for key in ("a", "b"):
        old.write("persist", key, {"id": key, "colour": "red"})
    schemas.apply(NODE, cpi_of(V3))
    assert Fish(vaults, V3).all() == [{"id": "a", "finCount": 7}, {"id": "b", "finCount": 7}]
    assert indexes(vaults) == 1


def test_each_node_is_migrated_by_itself(vaults, schemas):
    for name in (ALICE, BOB):
        Fish(vaults, V1, name).write("persist", "a", {"id": "a", "colour": name})
    schemas.apply(NODE, cpi_of(V2))
    assert Fish(vaults, V2, ALICE).all()[0]["fins"] == 7
    assert Fish(vaults, V1, BOB).all() == [{"id": "a", "colour": BOB}]


def test_a_migration_runs_once(vaults, schemas):
    Fish(vaults, V1).write("persist", "a", {"id": "a", "colour": "red"})
    schemas.apply(NODE, cpi_of(V2))
    Fish(vaults, V2, flow="g").write("merge", "a", {"id": "a", "colour": "red", "fins": 9})
    for _ in range(2):
        schemas.apply(NODE, cpi_of(V2))
    assert Fish(vaults, V2).all() == [{"id": "a", "colour": "red", "fins": 9}]


def test_steps_of_versions_that_were_passed_are_not_repeated(vaults, schemas):
    Fish(vaults, V2).write("persist", "a", {"id": "a", "colour": "red", "fins": 1})
    schemas.apply(NODE, cpi_of(V3))
    assert Fish(vaults, V3).all() == [{"id": "a", "finCount": 1}]


@pytest.mark.parametrize("first", ["read", "write"])
def test_nothing_is_served_before_the_vault_is_up_to_date(vaults, first):
    """Whichever process first serves a flow of the new CPI, it sees migrated entities only."""
    Fish(vaults, V1).write("persist", "a", {"id": "a", "colour": "red"})
    new = Fish(vaults, V3, flow="g")
    if first == "write":
        new.write("persist", "b", {"id": "b", "finCount": 1})
    assert new.all()[0] == {"id": "a", "finCount": 7}


def test_a_flow_of_an_older_cpi_cannot_touch_migrated_entities(vaults, schemas):
    old = Fish(vaults, V1)
    schemas.apply(NODE, cpi_of(V2))
    for call in (old.all, lambda: old.write("persist", "b", {"id": "b", "colour": "x"})):
        with pytest.raises(CapabilityError, match="version 2") as refused:
            call()
        assert refused.value.code == "entity-schema-too-new"
    with pytest.raises(EntitySchemaTooNewError):
        schemas.apply(NODE, cpi_of(V1))


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ([], "'fins' is a required property"),
        ([{"op": "add", "field": "fins", "default": "many"}], "not of type 'integer'"),
        ([{"op": "rename", "field": "id", "to": "colour"}], "there is one"),
    ],
)
def test_a_bad_migration_leaves_the_node_as_it_was(vaults, schemas, steps, reason):
    old = Fish(vaults, V1)
    for number in range(70):  # more than two pages of rows
        old.write("persist", f"k{number:03}", {"id": f"k{number:03}", "colour": "red"})
    before = old.all()
    migration = ({"version": 2, "steps": steps},)
    bad = EntityDeclaration(
        name=FISH, key=("id",), schema=V2.schema, version=2, migrations=migration
    )
    with pytest.raises(EntityMigrationError, match=r"pets\.Fish 'k000' does not fit") as refused:
        schemas.apply(NODE, cpi_of(bad))
    assert reason in refused.value.message
    with pytest.raises(CapabilityError) as failed:
        Fish(vaults, bad, flow="g").all()
    assert failed.value.code == "entity-migration-failed"
    assert old.all() == before
    assert indexes(vaults) == 0


def test_an_entity_that_fails_late_undoes_those_before_it(vaults, schemas):
    lax = EntityDeclaration(name=FISH, key=("id",), schema={"type": "object"})
    old = Fish(vaults, lax)
    old.write("persist", "a", {"id": "a", "colour": "red"})
    old.write("persist", "b", {"id": "b", "colour": 5})
    with pytest.raises(EntityMigrationError, match="'b'"):
        schemas.apply(NODE, cpi_of(V2))
    assert old.all() == [{"id": "a", "colour": "red"}, {"id": "b", "colour": 5}]


def test_a_schema_may_change_without_a_version_while_every_entity_fits(vaults, schemas):
    Fish(vaults, V1).write("persist", "a", {"id": "a", "colour": "red"})
    wider = EntityDeclaration(
        name=FISH,
        key=("id",),
        schema={**V1.schema, "properties": {**V1.schema["properties"], "size": INT}},
    )
    schemas.apply(NODE, cpi_of(wider))
    Fish(vaults, wider, flow="g").write("merge", "a", {"id": "a", "colour": "red", "size": 1})
    with pytest.raises(EntityMigrationError, match="'size' was unexpected"):
        schemas.apply(NODE, cpi_of(V1))


def test_indexes_that_no_entity_declares_any_more_are_dropped(vaults, schemas):
    schemas.apply(NODE, cpi_of(V3))
    assert indexes(vaults) == 1
    without = EntityDeclaration(
        name=FISH, key=("id",), schema=V3.schema, version=3, migrations=V3.migrations
    )
    schemas.apply(NODE, cpi_of(without))
    assert indexes(vaults) == 0


def test_a_reset_forgets_entities_and_begins_at_the_cpis_schema(vaults, schemas):
    Fish(vaults, V3).write("persist", "a", {"id": "a", "finCount": 1})
    schemas.reset(NODE, cpi_of(V1))
    old = Fish(vaults, V1, flow="g")
    assert old.all() == []
    old.write("persist", "a", {"id": "a", "colour": "red"})


@pytest.mark.parametrize(
    ("version", "migrations"),
    [
        (2, ()),
        (1, (TO_2,)),
        (3, (TO_3, TO_2)),
        (2, ({"version": True, "steps": []},)),
        (2, ({"version": 2},)),
        (2, ({"version": 2, "steps": [{"op": "sql", "text": "DROP TABLE entity"}]},)),
        (2, ({"version": 2, "steps": [{"op": "add", "field": "a"}]},)),
        (2, ({"version": 2, "steps": [{"op": "drop", "field": ""}]},)),
        (2, ({"version": 2, "steps": ["drop"]},)),
        (2, ({"version": 2, "steps": [{"op": "drop", "field": "a"}] * 101},)),
    ],
)
def test_migrations_that_cannot_work_are_refused_before_they_are_stored(version, migrations):
    with pytest.raises(EntityDeclarationError, match=r"entity pets\.Fish"):
        compile_entity(
            EntityDeclaration(
                name=FISH, key=("id",), schema={}, version=version, migrations=migrations
            )
        )


def test_composite_keys_keep_their_parts_apart(vaults):
    entity = EntityDeclaration(name=FISH, key=("pond", "number"), schema={})
    fish = Fish(vaults, entity)
    for key in (["a", 1], ["a", "1"], ["a,1", True]):
        fish.write("persist", key, {"key": key})
    keys = [["a", 1], ["a", "1"], ["a,1", True], ["a", 2]]
    found = fish._call("read", {"op": "find", "type": FISH, "keys": keys})
    assert found == [{"key": key} for key in keys[:3]] + [None]
    fish.write("remove", ["a", 1], None)
    assert len(fish.all()) == 2


@pytest.mark.parametrize("key", [None, 1.5, [], [None], [["a"]], ["a"] * 17, {}, "", ["x" * 1024]])
def test_keys_that_are_none_are_refused(vaults, key):
    with pytest.raises(CapabilityError) as refused:
        Fish(vaults, V1).write("merge", key, {"id": "a", "colour": "red"})
    assert refused.value.code == "request-invalid"


def test_a_migration_that_takes_too_long_is_given_up_and_changes_nothing(vaults):
    def late():
        seconds[0] += 250.0
        return seconds[0]

    seconds = [0.0]
    old = Fish(vaults, V1)
    for number in range(5):
        old.write("persist", str(number), {"id": str(number), "colour": "red"})
    slow = VaultSchemas(vaults, EntityTypes(), SimClock(NOW), work=late)
    with pytest.raises(EntityMigrationError, match="more than 600 seconds of work"):
        slow.apply(NODE, cpi_of(V2))
    assert [value["colour"] for value in old.all()] == ["red"] * 5
    VaultSchemas(vaults, EntityTypes(), SimClock(NOW)).apply(NODE, cpi_of(V2))
    assert [value["fins"] for value in Fish(vaults, V2).all()] == [7] * 5
