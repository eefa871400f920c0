"""Fields compare and sort as what the schema declares, on SQLite as in Python."""

import json
import operator
import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordapp.persistence import entity_field, named_query, parameter
from cordapp.schema import plain_json, schema_of, to_json
from host.adapters.sqlite.vaults import Vaults
from host.domain.capability_error import CapabilityError
from host.domain.order_keys import NoKeyError, OrderKind, order_key
from host.domain.packages import EntityDeclaration
from host.entities import SCHEMA, EntityCapability, compile_entity
from host.entities.errors import EntityDeclarationError
from host.vault.idempotency import REQUESTS
from tests.services.support import ALICE, context, cpi, holding, workflow_cpk
from tests.support.properties import examples

NUMBERS = st.one_of(
    st.integers(-(10**40), 10**40),
    st.integers(-5, 5),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False).filter(
        lambda d: abs(d.as_tuple().exponent) < 900
    ),
    st.builds(Decimal, st.from_regex(r"\A-?[0-9]{1,8}(\.[0-9]{1,8})?(E[+-][0-9]{1,5})?\Z")),
)
ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
OPERATORS = {
    "equal": operator.eq,
    "not-equal": operator.ne,
    "less": operator.lt,
    "at-most": operator.le,
    "greater": operator.gt,
    "at-least": operator.ge,
}


def agree(kind, one, other, text):
    left, right = order_key(kind, text(one)), order_key(kind, text(other))
    assert [op(left, right) for op in OPERATORS.values()] == [
        op(one, other) for op in OPERATORS.values()
    ]


@pytest.mark.property
@settings(max_examples=examples(600), deadline=None)
@given(NUMBERS, NUMBERS)
def test_numbers_of_every_type_and_scale_have_keys_in_their_order(one, other):
    agree(OrderKind.NUMBER, one, other, plain_json)


@pytest.mark.property
@settings(deadline=None)
@given(st.datetimes(timezones=ZONES), st.datetimes(timezones=ZONES))
def test_instants_of_different_offsets_have_keys_in_their_order(one, other):
    agree(OrderKind.INSTANT, one, other, lambda instant: instant.isoformat())
    agree(OrderKind.INSTANT, one, other, plain_json)


@pytest.mark.property
@settings(deadline=None)
@given(st.data())
def test_dates_times_durations_and_uuids_have_keys_in_their_order(data):
    for kind, values in (
        (OrderKind.DATE, st.dates()),
        (OrderKind.TIME, st.times()),
        (OrderKind.TIME, st.times(timezones=ZONES)),
        (OrderKind.DURATION, st.timedeltas()),
        (OrderKind.UUID, st.uuids()),
        (OrderKind.BYTES, st.binary(max_size=8)),
    ):
        agree(kind, data.draw(values), data.draw(values), plain_json)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (OrderKind.NUMBER, "x"),
        (OrderKind.NUMBER, True),
        (OrderKind.NUMBER, "1" * 5000),
        (OrderKind.INSTANT, "2026-01-01"),
        (OrderKind.INSTANT, "2026-02-30T00:00:00Z"),
        (OrderKind.DATE, 5),
        (OrderKind.DATE, "2026-W01-1"),
        (OrderKind.DURATION, "P"),
        (OrderKind.UUID, "1"),
        (OrderKind.BYTES, "é"),
    ],
)
def test_what_is_none_of_the_kind_has_no_key(kind, value):
    with pytest.raises(NoKeyError, match=f"expected an? {kind}"):
        order_key(kind, value)


@dataclass(frozen=True)
class Row:
    id: str
    amount: Decimal | None = None
    count: int = 0
    ratio: float = 0.0
    either: int | float | Decimal = 0
    at: datetime | None = None
    day: date | None = None
    clock: time | None = None
    span: timedelta = timedelta(0)
    ref: UUID | None = None


def _decimal(source):
    digits = Decimal(source.randrange(-(10**12), 10**12))
    return source.choice([digits.scaleb(source.randrange(-30, 30)), Decimal(9), Decimal("10.00"),
                          Decimal(10), Decimal("-0"), Decimal("1E+3")])  # fmt: skip


def _instant(source):
    zone = timezone(timedelta(minutes=source.randrange(-700, 700)))
    return datetime(2026, 1, 1, tzinfo=UTC).astimezone(zone) + timedelta(
        seconds=source.randrange(-9, 9) * 3600
    )


VALUES: dict[str, Any] = {
    "amount": _decimal,
    "count": lambda r: r.choice([r.randrange(-20, 20), r.randrange(-(10**30), 10**30)]),
    "ratio": lambda r: r.choice([r.uniform(-5, 5), 1e22, -1e300, 10.0, 9.0]),
    "either": lambda r: r.choice([_decimal(r), r.randrange(-9, 20), r.choice([1.0, 9.5])]),
    "at": _instant,
    "day": lambda r: date.fromordinal(r.randrange(1, 800_000)),
    "clock": lambda r: time(r.randrange(24), r.randrange(60)),
    "span": lambda r: timedelta(seconds=r.randrange(-99, 99), microseconds=r.randrange(9)),
    "ref": lambda r: UUID(int=r.getrandbits(128)),
}
QUERIES = [
    *(
        {"name": f"{field}-{name}", "where": {name: [{"field": field}, {"parameter": "p"}]}}
        for field in VALUES
        for name in OPERATORS
    ),
    *(named_query(f"{field}-up", order_by=[field]) for field in VALUES),
    *(named_query(f"{field}-down", order_by=[f"-{field}"]) for field in VALUES),
    named_query("amounts", entity_field("amount").within(parameter("many"))),
    named_query("dear", entity_field("amount") >= Decimal("9.50")),
    named_query("above", entity_field("amount") > entity_field("count")),
    named_query("none", entity_field("amount").is_null()),
]


def declared(**changes):
    values = {"name": "rows.Row", "key": ("id",), "schema": schema_of(Row), "queries": QUERIES}
    return EntityDeclaration(**{**values, "indexes": (("amount",), ("at", "day")), **changes})


class Rows:
    def __init__(self, vaults, declaration):
        cpk = workflow_cpk()
        names = {f: getattr(cpk, f) for f in cpk.__slots__}
        self.record = cpi(cpks=[type(cpk)(**{**names, "entities": (declaration,)})])
        self.capability, self.count = EntityCapability(vaults), 0

    def call(self, function, **request):
        self.count += 1
        there = context(ALICE, self.count, cpi_record=self.record)
        return self.capability.call(there, function, {**request})

    def store(self, *rows):
        entities = [
            {"type": "rows.Row", "key": row.id, "value": to_json(row, type(row))} for row in rows
        ]
        self.call("write", op="merge", entities=entities, dedupId=None)

    def ids(self, query, **parameters):
        page = self.call(
            "read",
            op="query",
            type="rows.Row",
            query=query,
            parameters={name: plain_json(value) for name, value in parameters.items()},
            offset=0,
            limit=1000,
        )
        return [value["id"] for value in page["results"]]


@pytest.fixture
def vaults(tmp_path):
    vaults = Vaults(tmp_path / "vnodes", [REQUESTS, SCHEMA])
    vaults.create(holding(ALICE).short_hash)
    yield vaults
    vaults.close()


@pytest.mark.parametrize("field", VALUES)
def test_comparisons_and_orders_are_pythons(vaults, field):
    source, rows = random.Random(field), Rows(vaults, declared())  # a test's values
    found = [Row(f"{n:03}", **{field: VALUES[field](source)}) for n in range(60)]
    rows.store(*found)
    up = rows.ids(f"{field}-up")
    by_id = {row.id: getattr(row, field) for row in found}
    assert all(by_id[one] <= by_id[other] for one, other in pairwise(up))
    assert rows.ids(f"{field}-down") == sorted(by_id, key=lambda i: by_id[i], reverse=True)
    for wanted in [getattr(row, field) for row in found[:12]] + [VALUES[field](source)]:
        for name, op in OPERATORS.items():
            expected = sorted(i for i, value in by_id.items() if op(value, wanted))
            assert rows.ids(f"{field}-{name}", p=wanted) == expected, (name, wanted)


def test_the_constant_of_another_number_type_is_compared_as_a_number(vaults):
    rows = Rows(vaults, declared())
    rows.store(
        Row("a", amount=Decimal("10.00"), count=9), Row("b", amount=Decimal(9), count=9), Row("c")
    )
    assert rows.ids("amount-at-least", p=9) == ["a", "b"]
    assert rows.ids("amount-equal", p=10.0) == ["a"]
    assert rows.ids("amount-equal", p=Decimal("10.000")) == ["a"]
    assert rows.ids("amounts", many=[Decimal("9.0"), 11]) == ["b"]
    assert (rows.ids("dear"), rows.ids("above"), rows.ids("none")) == (["a"], ["a"], ["c"])


@pytest.mark.parametrize(
    ("query", "value", "part"),
    [
        ("amount-equal", "ten", "expected a number, found 'ten'"),
        ("amount-equal", True, "expected a number"),
        ("at-less", date(2026, 1, 1), "expected an instant, found '2026-01-01'"),
        ("day-less", datetime(2026, 1, 1, tzinfo=UTC), "expected a date"),
        ("ref-equal", 7, "expected a UUID"),
    ],
)
def test_a_parameter_of_another_kind_is_refused(vaults, query, value, part):
    with pytest.raises(CapabilityError, match=part) as refused:
        Rows(vaults, declared()).ids(query, p=value)
    assert refused.value.code == "query-parameter"


@dataclass(frozen=True)
class Odd:
    id: str
    mixed: str | Decimal
    parts: tuple[int, ...]
    inner: Row
    amount: Decimal
    day: date


@pytest.mark.parametrize(
    ("query", "part"),
    [
        (named_query("q", entity_field("amuont") > 1), "the entity has no field 'amuont'"),
        (named_query("q", entity_field("inner.nothing") > 1), "no field 'inner.nothing'"),
        (named_query("q", entity_field("mixed") > 1), "'mixed' cannot be compared"),
        (named_query("q", order_by=["parts"]), "'parts' cannot be compared: it is array"),
        (named_query("q", order_by=["inner"]), "'inner' cannot be compared: it is object"),
        (named_query("q", entity_field("amount") > "ten"), "expected a number, found 'ten'"),
        (named_query("q", entity_field("id") > 5), "expected a text, which its field is"),
        (named_query("q", entity_field("amount") > entity_field("day")), "of different types"),
    ],
)
def test_queries_that_compare_what_cannot_be_are_refused(query, part):
    with pytest.raises(EntityDeclarationError, match=part):
        compile_entity(declared(schema=schema_of(Odd), queries=(query,), indexes=()))


def test_entities_of_an_older_query_get_their_keys(vaults):
    """What is compared decides which order keys are stored."""
    before = Rows(vaults, declared(queries=(), indexes=()))
    before.store(Row("a", amount=Decimal("10.00")), Row("b", amount=Decimal(9)))
    after = Rows(vaults, declared())
    assert after.ids("amount-up") == ["b", "a"]


def test_an_index_of_order_keys_is_what_the_query_uses(vaults):
    rows = Rows(vaults, declared())
    rows.store(Row("a", amount=Decimal(1)))
    query = compile_entity(declared()).queries["amount-greater"]
    bound = query.bound("rows.Row", {"p": "5"})
    with vaults.read(holding(ALICE).short_hash) as connection:
        text = str(query.select.compile(connection))
        plan = connection.exec_driver_sql(
            f"EXPLAIN QUERY PLAN {text}",
            tuple(
                bound[name] for name in ("entity_type", *[n for n in bound if n != "entity_type"])
            ),
        ).all()
    assert any("entity_by_" in row[3] for row in plan), json.dumps([row[3] for row in plan])


def test_a_vault_of_the_first_version_gets_order_keys(tmp_path):
    node = holding(ALICE).short_hash
    first = Vaults(tmp_path / "vnodes", [REQUESTS, SCHEMA])
    first.create(node)
    Rows(first, declared()).store(Row("a", amount=Decimal("10.00")), Row("b", amount=Decimal(9)))

    def go_back(connection):
        connection.exec_driver_sql("ALTER TABLE entity DROP COLUMN sort_keys")
        connection.exec_driver_sql(
            "UPDATE schema_version SET version = 1 WHERE name = 'persistence'"
        )
        connection.exec_driver_sql("UPDATE entity_schema SET digest = 'before'")

    first.transact(node, lambda connection: _without_indexes(connection) or go_back(connection))
    first.close()
    second = Vaults(tmp_path / "vnodes", [REQUESTS, SCHEMA])
    assert Rows(second, declared()).ids("amount-up") == ["b", "a"]
    second.close()


def _without_indexes(connection):
    names = connection.exec_driver_sql(
        "SELECT name FROM sqlite_master WHERE type = 'index' AND name GLOB 'entity_by_*'"
    ).scalars()
    for name in list(names):
        connection.exec_driver_sql(f'DROP INDEX "{name}"')
