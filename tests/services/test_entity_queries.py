"""Named queries: what CPKs may declare, and what their flows get."""

import pytest

from host.adapters.sqlite.vaults import Vaults
from host.database.query_time import QUERY_SECONDS_MAX
from host.domain.capability_error import CapabilityError
from host.domain.packages import EntityDeclaration
from host.entities import SCHEMA, EntityCapability, compile_entity
from host.entities.errors import EntityDeclarationError
from host.vault.idempotency import REQUESTS
from tests.services.support import ALICE, context, cpi, holding, workflow_cpk

DOG = "dogs.Dog"
AGE, NAME, OWNER = {"field": "age"}, {"field": "name"}, {"field": "owner.name"}
QUERIES = {
    "all": None,
    "older": {"greater": [AGE, {"parameter": "age"}]},
    "older-or-as-old": {"at-least": [AGE, {"parameter": "age"}]},
    "younger": {"less": [AGE, {"parameter": "age"}]},
    "younger-or-as-old": {"at-most": [AGE, {"parameter": "age"}]},
    "of": {"equal": [OWNER, {"parameter": "owner"}]},
    "not-of": {"not-equal": [OWNER, {"parameter": "owner"}]},
    "ownerless": {"null": OWNER},
    "owned": {"not-null": OWNER},
    "of-or-any": {
        "any": [{"null": {"parameter": "owner"}}, {"equal": [OWNER, {"parameter": "owner"}]}]
    },
    "puppies-of": {
        "all": [{"less": [AGE, {"value": 2}]}, {"equal": [OWNER, {"parameter": "owner"}]}]
    },
    "not-puppies": {"not": {"less": [AGE, {"value": 2}]}},
    "named-like": {"like": [NAME, {"parameter": "pattern"}]},
    "r-dogs": {"like": [NAME, {"value": "R%"}]},
    "one-of": {"in": [NAME, {"parameter": "names"}]},
    "good": {"equal": [{"field": "good"}, {"value": True}]},
}
DOGS = [
    {"name": "Rex", "age": 5, "good": True, "owner": {"name": "Bob"}},
    {"name": "Rover", "age": 1, "good": False, "owner": {"name": "Bob"}},
    {"name": "rolf", "age": 1, "good": True, "owner": {"name": "Eve"}},
    {"name": "Fido*", "age": 9, "good": True, "owner": None},
]


def declared(**changes):
    queries = tuple(
        {"name": name, "where": where, "orderBy": [{"field": "age", "descending": True}]}
        for name, where in QUERIES.items()
    )
    values = {"name": DOG, "key": ("name",), "schema": {"type": "object"}, "queries": queries}
    return EntityDeclaration(**{**values, **changes})


def cpi_of(*entities):
    cpk = workflow_cpk()
    return cpi(
        cpks=[type(cpk)(**{**{f: getattr(cpk, f) for f in cpk.__slots__}, "entities": entities})]
    )


@pytest.fixture
def vaults(tmp_path):
    vaults = Vaults(tmp_path / "vnodes", [REQUESTS, SCHEMA])
    vaults.create(holding(ALICE).short_hash)
    yield vaults
    vaults.close()


class Dogs:
    """Calls of one flow about dogs."""

    def __init__(self, capability, record):
        self.capability, self.record, self.count = capability, record, 0

    def __call__(self, function, **request):
        self.count += 1
        return self.capability.call(
            context(ALICE, self.count, cpi_record=self.record), function, request
        )

    def persist(self, *dogs):
        items = [{"type": DOG, "key": dog["name"], "value": dog} for dog in dogs]
        return self("write", op="persist", entities=items)

    def page(self, query, offset=0, limit=1000, **parameters):
        return self(
            "read",
            op="query",
            type=DOG,
            query=query,
            parameters=parameters,
            offset=offset,
            limit=limit,
        )

    def names(self, query, **parameters):
        return [dog["name"] for dog in self.page(query, **parameters)["results"]]


@pytest.fixture
def dogs(vaults):
    dogs = Dogs(EntityCapability(vaults), cpi_of(declared()))
    dogs.persist(*DOGS)
    return dogs


def refused(code, function, *args, **kwargs):
    with pytest.raises(CapabilityError) as error:
        function(*args, **kwargs)
    assert error.value.code == code
    return error.value.message


@pytest.mark.parametrize(
    ("query", "parameters", "expected"),
    [
        ("all", {}, ["Fido*", "Rex", "Rover", "rolf"]),
        ("older", {"age": 1}, ["Fido*", "Rex"]),
        ("older", {"age": 4.5}, ["Fido*", "Rex"]),
        ("older-or-as-old", {"age": 5}, ["Fido*", "Rex"]),
        ("younger", {"age": 5}, ["Rover", "rolf"]),
        ("younger-or-as-old", {"age": 5}, ["Rex", "Rover", "rolf"]),
        ("older", {"age": None}, []),
        ("of", {"owner": "Bob"}, ["Rex", "Rover"]),
        ("of", {"owner": "' OR 1=1 --"}, []),
        ("of", {"owner": None}, []),
        ("not-of", {"owner": "Bob"}, ["rolf"]),
        ("ownerless", {}, ["Fido*"]),
        ("owned", {}, ["Rex", "Rover", "rolf"]),
        ("of-or-any", {"owner": None}, ["Fido*", "Rex", "Rover", "rolf"]),
        ("of-or-any", {"owner": "Eve"}, ["rolf"]),
        ("puppies-of", {"owner": "Bob"}, ["Rover"]),
        ("not-puppies", {}, ["Fido*", "Rex"]),
        ("named-like", {"pattern": "R%"}, ["Rex", "Rover"]),
        ("named-like", {"pattern": "_e_"}, ["Rex"]),
        ("named-like", {"pattern": "%*"}, ["Fido*"]),
        ("named-like", {"pattern": "[R]%"}, []),
        ("named-like", {"pattern": None}, []),
        ("r-dogs", {}, ["Rex", "Rover"]),
        ("one-of", {"names": ["rolf", "Rex", "nobody"]}, ["Rex", "rolf"]),
        ("one-of", {"names": []}, []),
        ("good", {}, ["Fido*", "Rex", "rolf"]),
    ],
)
def test_a_query_answers_what_its_condition_says(dogs, query, parameters, expected):
    assert dogs.names(query, **parameters) == expected


def test_equal_values_are_ordered_by_key_so_that_pages_do_not_overlap(dogs):
    assert [dogs.page("all", n, 1)["results"][0]["name"] for n in range(4)] == [
        "Fido*", "Rex", "Rover", "rolf",
    ]  # fmt: skip
    assert [dogs.page("all", n, 1)["more"] for n in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("query", "parameters", "part"),
    [
        ("older", {}, "'age' of query 'older' is missing"),
        ("older", {"age": 1, "agee": 1}, "no parameter 'agee'; it has age"),
        ("all", {"x": 1}, "it has none"),
        ("older", {"age": {}}, "'age' must be a text, a number"),
        ("older", {"age": "x" * 4097}, "longer than 4096"),
        ("one-of", {"names": "Rex"}, "'names' must be a list"),
        ("one-of", {"names": ["x"] * 1001}, "at most 1000"),
        ("named-like", {"pattern": 5}, "'pattern' must be a text"),
        ("named-like", {"pattern": "%%%%%"}, "at most 4 '%'"),
    ],
)
def test_wrong_parameters_are_refused_by_name(dogs, query, parameters, part):
    assert part in refused("query-parameter", dogs.page, query, **parameters)


def test_numbers_that_no_storage_has_are_refused(dogs):
    refused("request-invalid", dogs.page, "older", age=2**60)
    refused("request-invalid", dogs.page, "of", owner="\ud800")


def test_undeclared_queries_are_refused(dogs):
    assert "older-or-as-old" in refused("query-unknown", dogs.page, "drop")


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"equal": [AGE]},
        {"equal": [AGE, 5]},
        {"equal": [AGE, {"field": "age", "value": 1}]},
        {"equal": [AGE, {"value": [1]}]},
        {"equal": [{"field": 'age")) --'}, {"value": 1}]},
        {"equal": [{"field": "a..b"}, {"value": 1}]},
        {"equal": [{"sql": "1=1"}, {"value": 1}]},
        {"update": [AGE, {"value": 1}]},
        {"like": [NAME, {"field": "name"}]},
        {"like": [NAME, {"value": "%" * 9}]},
        {"in": [NAME, {"value": ["a"]}]},
        {"equal": [NAME, {"parameter": "p'"}]},
        {"all": [{"in": [NAME, {"parameter": "p"}]}, {"equal": [NAME, {"parameter": "p"}]}]},
        {"all": "everything"},
        {"all": [{"null": AGE}] * 201},
    ],
)
def test_conditions_that_are_none_are_refused_before_they_are_stored(where):
    with pytest.raises(EntityDeclarationError, match=r"dogs\.Dog: query 'q'"):
        compile_entity(declared(queries=({"name": "q", "where": where},)))


def test_too_deep_a_condition_is_refused():
    where = {"null": AGE}
    for _ in range(30):
        where = {"not": where}
    with pytest.raises(EntityDeclarationError, match="too large"):
        compile_entity(declared(queries=({"name": "q", "where": where},)))


@pytest.mark.parametrize(
    "change",
    [
        {"queries": ({"name": "q"}, {"name": "q"})},
        {"queries": ({"name": "a b"},)},
        {"queries": ({"name": "q", "sql": "SELECT 1"},)},
        {"queries": ({"name": "q", "orderBy": [{"field": "'"}]},)},
        {"queries": ({"name": "q", "orderBy": [{"field": "a"}] * 9},)},
        {"queries": tuple({"name": f"q{n}"} for n in range(101))},
        {"indexes": ((),)},
        {"indexes": (("a') --",),)},
        {"indexes": (("a",),) * 9},
        {"key": ("k",) * 17},
        {"schema": {"type": "no type"}},
    ],
)
def test_declarations_that_cannot_work_are_refused(change):
    with pytest.raises(EntityDeclarationError, match=r"entity dogs\.Dog"):
        compile_entity(declared(**change))


class Clock:
    """Seconds that pass whenever somebody looks."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def __call__(self):
        self.now += self.step
        return self.now


def test_a_query_that_takes_too_long_is_interrupted_and_the_vault_goes_on(vaults):
    record = cpi_of(declared())
    Dogs(EntityCapability(vaults), record).persist(
        *({"name": f"d{n}", "age": n} for n in range(500))
    )
    slow = Dogs(EntityCapability(vaults, monotonic=Clock(QUERY_SECONDS_MAX + 1)), record)
    slow.count = 100
    assert "index" in refused("query-too-slow", slow.page, "older", age=600)
    refused("query-too-slow", slow, "read", op="find-all", type=DOG, offset=400, limit=9)
    quick = Dogs(EntityCapability(vaults), record)
    assert quick.names("older", age=498) == ["d499"]


def test_a_declared_index_is_what_the_query_uses(vaults):
    capability = EntityCapability(vaults)
    query = {"name": "of", "where": QUERIES["of"]}
    entity = declared(queries=(query,), indexes=(("owner.name",),))
    Dogs(capability, cpi_of(entity)).persist(*DOGS)
    compiled = compile_entity(entity).queries["of"]
    with vaults.read(holding(ALICE).short_hash) as connection:
        sql = str(compiled.select.compile(connection))
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", (DOG, "Bob")).all()
    assert any("USING INDEX entity_by_" in row.detail for row in plan), plan


def test_like_is_no_product_of_text_and_pattern(vaults):
    """Twelve of them over a text of a megabyte took a minute and a half, and nothing ended them."""
    alike = {
        "all": [{"like": [NAME, {"parameter": "p"}]}, {"not": {"like": [NAME, {"parameter": "q"}]}}]
        * 6
    }
    record = cpi_of(declared(queries=({"name": "alike", "where": alike},)))
    clock = Clock(0.0)
    dogs = Dogs(EntityCapability(vaults, monotonic=clock), record)
    long = {"name": "a" * 1_000_000}
    dogs("write", op="persist", entities=[{"type": DOG, "key": "long", "value": long}])
    for pattern in ("%" + "a" * 4000 + "b", "%a_" * 4 + "b", "%" + "_a" * 2000 + "b%"):
        assert dogs.names("alike", p=pattern, q=pattern) == []
    assert dogs.names("alike", p="%" + "a" * 4000, q="%b") == [long["name"]]


def test_a_query_ends_within_its_time_whatever_its_instructions_do(vaults):
    """Time passes in the functions lent to SQLite and between its instructions: both look."""
    where = {"any": [{"like": [NAME, {"value": f"%{n}_x%"}]} for n in range(150)]}
    record = cpi_of(declared(queries=({"name": "slow", "where": where},)))
    Dogs(EntityCapability(vaults), record).persist(*({"name": f"d{n}" * 40} for n in range(200)))
    for step in (QUERY_SECONDS_MAX / 50, QUERY_SECONDS_MAX / 1000):
        clock = Clock(step)
        slow = Dogs(EntityCapability(vaults, monotonic=clock), record)
        slow.count = 1000
        refused("query-too-slow", slow.page, "slow")
        assert clock.now <= 1.2 * QUERY_SECONDS_MAX


def test_like_of_what_is_no_text(vaults):
    record = cpi_of(
        declared(queries=({"name": "aged", "where": {"like": [AGE, {"parameter": "p"}]}},))
    )
    dogs = Dogs(EntityCapability(vaults), record)
    dogs.persist(
        {"name": "a", "age": 15},
        {"name": "b", "age": 1.5},
        {"name": "c", "age": None},
        {"name": "d"},
    )
    assert dogs.names("aged", p="1%") == ["a", "b"]
    assert dogs.names("aged", p="%.5") == ["b"]
