"""Corda's PersistenceServiceInternalTests and PersistenceExceptionTests, by their names.

docs/reference/corda-test-lists.md tells which test stands for which, and which do not apply.
"""

import pytest

from host.adapters.sqlite.vaults import Vaults
from host.domain.capability_error import CapabilityError
from host.domain.errors import NotFoundError
from host.domain.packages import EntityDeclaration
from host.entities import SCHEMA, EntityCapability, compile_entity
from host.entities.errors import EntityDeclarationError
from host.vault.idempotency import REQUESTS
from tests.services.support import ALICE, BOB, context, cpi, holding
from tests.services.test_entity_queries import cpi_of

DOG, CAT = "dogs.Dog", "cats.Cat"
OWNER = {"field": "owner"}
IS_OWNER = {"equal": [OWNER, {"parameter": "owner"}]}
DOGS = EntityDeclaration(
    name=DOG,
    key=("id",),
    schema={"type": "object", "required": ["id", "name"]},
    queries=(
        {"name": "Dog.summon", "where": {"equal": [{"field": "name"}, {"parameter": "name"}]}},
        {"name": "Dog.independent", "where": {"null": OWNER}},
        {"name": "Dog.all"},
        {"name": "Dog.ownedBy", "where": IS_OWNER},
        {"name": "Dog.none", "where": {"equal": [{"value": 1}, {"value": 2}]}},
        {
            "name": "Dog.ownedByOrAny",
            "where": {"any": [{"null": {"parameter": "owner"}}, IS_OWNER]},
        },
    ),
)
CATS = EntityDeclaration(name=CAT, key=("id", "breed"), schema={"type": "object"})
CPI = cpi_of(DOGS, CATS)


class Flow:
    """The calls of one flow."""

    def __init__(self, entities, record=CPI, name=ALICE, flow_id="f"):
        self.entities, self.record, self.name, self.flow_id = entities, record, name, flow_id
        self.count = 0

    def call(self, function, request):
        self.count += 1
        here = context(self.name, self.count, cpi_record=self.record, flow_id=self.flow_id)
        return self.entities.call(here, function, request)

    def write(self, op, *items, dedup_id=None):
        entities = [{"type": kind, "key": key, "value": value} for kind, key, value in items]
        return self.call("write", {"op": op, "entities": entities, "dedupId": dedup_id})

    def find(self, *keys, kind=DOG):
        return self.call("read", {"op": "find", "type": kind, "keys": list(keys)})

    def find_all(self, offset=0, limit=1000, kind=DOG):
        request = {"op": "find-all", "type": kind, "offset": offset, "limit": limit}
        return self.call("read", request)["results"]

    def query(self, name, /, offset=0, limit=1000, **parameters):
        request = {"op": "query", "type": DOG, "query": name, "parameters": parameters}
        page = self.call("read", {**request, "offset": offset, "limit": limit})
        return [dog["id"] for dog in page["results"]]


def dog(id_, name="Rex", owner=None):
    return DOG, id_, {"id": id_, "name": name, "owner": owner}


def cat(id_, breed, colour="grey"):
    return CAT, [id_, breed], {"id": id_, "breed": breed, "colour": colour}


@pytest.fixture
def vaults(tmp_path):
    vaults = Vaults(tmp_path / "vnodes", [REQUESTS, SCHEMA])
    vaults.create(holding(ALICE).short_hash)
    yield vaults
    vaults.close()


@pytest.fixture
def flow(vaults):
    return Flow(EntityCapability(vaults))


@pytest.fixture
def kennel(flow):
    flow.write(
        "persist",
        *(dog(f"d{n}", f"name {n}", "Bob" if n % 2 else "Eve") for n in range(6)),
        dog("stray", "stray"),
    )
    return flow


def refused(code, function, *args, **kwargs):
    with pytest.raises(CapabilityError) as error:
        function(*args, **kwargs)
    assert error.value.code == code


def test_exception_raised_when_cpks_not_present(vaults):
    without = Flow(EntityCapability(vaults), cpi(cpks=()))
    refused("entity-type-unknown", without.write, "persist", dog("a"))


def test_exception_raised_when_vnode_cannot_be_found(flow):
    with pytest.raises(NotFoundError, match="no vault"):
        Flow(flow.entities, name=BOB).write("persist", dog("a"))


def test_exception_raised_when_sent_a_missing_command(flow):
    refused("request-invalid", flow.call, "write", {"entities": []})
    refused("request-invalid", flow.call, "read", {"type": DOG})


def test_on_duplicate_persistence_request_dont_execute_it_with_pk_constraint(flow):
    for _ in range(2):
        assert flow.write("persist", dog("a"), dedup_id="1") == [dog("a")[2]]
    assert len(flow.find_all()) == 1


def test_on_duplicate_persistence_request_dont_execute_it_without_pk_constraint(flow):
    flow.write("persist", dog("a"), dedup_id="1")
    flow.write("remove", dog("a"))
    flow.write("persist", dog("a"), dedup_id="1")
    assert flow.find_all() == []


def test_should_distinguish_duplicate_persistence_request_from_actual_error(flow):
    flow.write("persist", dog("a"), dedup_id="1")
    flow.write("persist", dog("a"), dedup_id="1")
    refused("entity-exists", flow.write, "persist", dog("a"), dedup_id="2")
    refused("request-id-reused", flow.write, "persist", dog("b"), dedup_id="1")


def test_persist(flow):
    assert flow.write("persist", dog("a")) == [dog("a")[2]]
    assert flow.find("a") == [dog("a")[2]]


def test_persist_using_two_different_sandboxes_captures_exception_in_response(vaults):
    other = Flow(EntityCapability(vaults), cpi_of(CATS))
    refused("entity-type-unknown", other.write, "persist", dog("a"))


def test_persist_two_entities_of_different_types_in_1_operation(flow):
    flow.write("persist", dog("a"), cat("a", "tabby"))
    assert (len(flow.find_all()), len(flow.find_all(kind=CAT))) == (1, 1)


def test_find_in_db(kennel):
    assert kennel.find("d1") == [dog("d1", "name 1", "Bob")[2]]
    assert kennel.find("nobody") == [None]


def test_find_multiple_by_ids(kennel):
    found = kennel.find("d3", "d1", "nobody")
    assert [entity and entity["id"] for entity in found] == ["d3", "d1", None]


def test_multiple_persist_and_finds(flow):
    for number in range(20):
        flow.write("persist", dog(f"{number:02}"))
        assert flow.find(f"{number:02}") != [None]
    assert len(flow.find_all()) == 20


def test_persist_zero_items(flow):
    assert flow.write("persist") == []
    assert flow.find_all() == []


def test_merge_in_db(kennel):
    assert kennel.write("merge", dog("d1", "new", "Eve")) == [dog("d1", "new", "Eve")[2]]
    assert kennel.find("d1") == [dog("d1", "new", "Eve")[2]]


def test_merge_multiple_in_db(kennel):
    kennel.write("merge", dog("d1", "new"), dog("d2", "new"), dog("d9", "new"))
    assert [found["name"] for found in kennel.find("d1", "d2", "d9")] == ["new"] * 3


def test_merge_zero_items(flow):
    assert flow.write("merge") == []


def test_delete_from_db(kennel):
    kennel.write("remove", (DOG, "d1", {"id": "d1"}))
    assert kennel.find("d1") == [None]


def test_delete_multiple_from_db(kennel):
    kennel.write("remove", (DOG, "d1", {}), (DOG, "d2", {}))
    assert kennel.find("d1", "d2") == [None, None]
    assert len(kennel.find_all()) == 5


def test_delete_zero_items(kennel):
    assert kennel.write("remove") == []
    assert len(kennel.find_all()) == 7


def test_delete_by_id(kennel):
    assert kennel.write("remove", (DOG, "d1", None)) == [dog("d1", "name 1", "Bob")[2]]


def test_delete_multiple_items_by_id(kennel):
    kennel.write("remove", *((DOG, f"d{n}", None) for n in range(6)))
    assert kennel.find_all() == [dog("stray", "stray")[2]]


def test_delete_by_id_is_still_successful_if_id_not_found(kennel):
    assert kennel.write("remove", (DOG, "nobody", None), (DOG, "d1", None))[0] is None
    assert kennel.find("d1") == [None]


def test_find_all(kennel):
    assert [d["id"] for d in kennel.find_all()] == ["d0", "d1", "d2", "d3", "d4", "d5", "stray"]


def test_find_all_with_pagination(kennel):
    assert [d["id"] for d in kennel.find_all(offset=2, limit=3)] == ["d2", "d3", "d4"]
    assert kennel.find_all(offset=9, limit=3) == []


def test_find_all_with_negative_pagination_produces_error(kennel):
    refused("request-invalid", kennel.find_all, offset=-1)
    refused("request-invalid", kennel.find_all, limit=-1)


def test_find_all_with_composite_key(flow):
    flow.write("persist", cat("a", "tabby"), cat("a", "manx"))
    assert [c["breed"] for c in flow.find_all(kind=CAT)] == ["manx", "tabby"]


def test_persist_find_and_remove_with_composite_key(flow):
    flow.write("persist", cat("a", "tabby"), cat("a", "manx"))
    assert flow.find(["a", "manx"], kind=CAT) == [cat("a", "manx")[2]]
    flow.write("remove", (CAT, ["a", "manx"], None))
    assert flow.find(["a", "manx"], ["a", "tabby"], kind=CAT) == [None, cat("a", "tabby")[2]]


def test_find_with_named_query_with_many_results(kennel):
    assert kennel.query("Dog.ownedBy", owner="Bob") == ["d1", "d3", "d5"]


def test_find_with_named_query_with_1_result(kennel):
    assert kennel.query("Dog.summon", name="name 4") == ["d4"]


def test_find_with_named_query_and_missing_owner(kennel):
    assert kennel.query("Dog.independent") == ["stray"]


def test_update_produces_error():
    """A query cannot say what would change something."""
    for declared in ({"update": "Dog"}, {"where": {"update": [OWNER, {"value": "x"}]}}):
        with pytest.raises(EntityDeclarationError):
            compile_entity(
                EntityDeclaration(name=DOG, key=(), schema={}, queries=({"name": "q", **declared},))
            )


def test_find_with_named_query_and_incorrectly_named_parameter(kennel):
    refused("query-parameter", kennel.query, "Dog.summon", nmae="Rex")
    refused("query-parameter", kennel.query, "Dog.summon", name="Rex", nmae="Rex")


def test_find_with_incorrectly_named_query(kennel):
    refused("query-unknown", kennel.query, "Dog.cheese")


def test_find_with_named_query_with_all_results(kennel):
    assert len(kennel.query("Dog.all")) == 7


def test_find_with_named_query_and_zero_limit_returns_no_results(kennel):
    assert kennel.query("Dog.all", limit=0) == []


def test_find_with_named_query_and_negative_pagination_produces_error(kennel):
    refused("request-invalid", kennel.query, "Dog.all", offset=-1)
    refused("request-invalid", kennel.query, "Dog.all", limit=-1)


def test_find_with_named_query_with_pagination(kennel):
    assert kennel.query("Dog.all", offset=1, limit=2) == ["d1", "d2"]
    assert kennel.query("Dog.all", offset=6, limit=2) == ["stray"]


def test_find_with_named_query_with_excessive_pagination(kennel):
    assert kennel.query("Dog.all", offset=1000, limit=1000) == []
    refused("request-invalid", kennel.query, "Dog.all", limit=1001)


def test_find_with_named_query_with_0_results(kennel):
    assert kennel.query("Dog.none") == []


def test_find_with_named_query_can_handle_null_parameters_and_returns_result(kennel):
    assert kennel.query("Dog.ownedBy", owner=None) == []
    assert len(kennel.query("Dog.ownedByOrAny", owner=None)) == 7


def test_find_with_named_query_can_handle_nullable_parameters_with_or_condition(kennel):
    assert kennel.query("Dog.ownedByOrAny", owner="Eve") == ["d0", "d2", "d4"]
