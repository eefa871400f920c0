"""Vault-named queries in SQL: the same rows as the model, which reads them one by one."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Column, MetaData, String, Table, Text, select

from cordapp.schema import to_json
from host.adapters.sqlite.database import Database
from host.database.sql import JsonText, dialect_of
from host.domain.capability_error import CapabilityError
from host.domain.instants import instant_micros
from host.domain.packages import QueryDeclaration
from host.domain.plain_names import has_plain_names
from host.ledger.query.compiler import Compiler, bound_name
from host.ledger.query.declared import compile_query
from host.ledger.query.parameters import bound_values
from host.ledger.query.typing import COLUMNS, CONTRACT_STATE
from host.ports.database import Schema
from tests.ledger.query_model import duration, matching, ordered, represented
from tests.support.properties import examples

REP = "visible_states.custom_representation"
ID = "SHA-256D:" + "AB" * 32
_NUMBERS = ("leaf_idx", "created", "consumed")
STATES = Table(
    "states",
    MetaData(),
    Column("seq", BigInteger, primary_key=True),
    *(
        Column(name, BigInteger if name in _NUMBERS else Text)
        for name in COLUMNS
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    path = tmp_path_factory.mktemp("query") / "states.sqlite"
    with Database.open(path, [Schema(name="states", metadata=STATES.metadata)]) as database:
        yield database


def state(representation, **columns):
    values = {"type": "com.Cash", "transaction_id": ID, "leaf_idx": 0, "created": 1, **columns}
    return dict.fromkeys(COLUMNS) | values | {"custom_representation": representation}


def in_sql(database, query, rows, values):
    """The numbers of the rows that the database finds, in the query's order."""
    compiler = Compiler(STATES.c, query.uses)
    keys = [(compiler.value(each), descending) for each, descending in query.order]
    statement = select(STATES.c.seq)
    if query.where is not None:
        statement = statement.where(compiler.condition(query.where))
    for key, descending in keys:
        statement = statement.order_by(key.is_(None), key.desc() if descending else key)
    bound = {bound_name(name): value for name, value in values.items()}

    def ask(connection):
        connection.execute(STATES.delete())
        for at, row in enumerate(rows):
            connection.execute(STATES.insert(), {"seq": at, **represented(row)})
        with dialect_of(connection).limited_time(connection, 5, lambda: 0.0):
            return list(connection.execute(statement.order_by(STATES.c.seq), bound).scalars())

    return database.transact(ask)


def both(database, where, rows, parameters=None, *, order_by=()):
    query = compile_query(QueryDeclaration(name="q", where=where, order_by=order_by))
    values = bound_values("q", query.uses, parameters or {})
    found = in_sql(database, query, rows, values)
    decimals = {n: as_model(query.uses[n], v) for n, v in (parameters or {}).items()}
    kept = matching(query.where, rows, decimals)
    assert sorted(found) == kept
    assert found == [at for at in ordered(query.order, rows) if at in kept]
    return found


def as_model(use, value):
    if isinstance(value, list):
        return [as_model(use, item) for item in value]
    if value is None or use.type not in ("number", "instant", "duration"):
        return value
    if use.type == "duration":
        return duration(value)
    return Decimal(str(value)) if use.type == "number" else instant_micros(value)


KEYS = ("a", "b.c", "list", "it's", 'q"', "\N{GREEK SMALL LETTER ALPHA}", "0", "$", "")
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(allow_nan=False, allow_infinity=False).filter(
        lambda n: not float(n).is_integer() or abs(n) < 2**53
    ),
    st.sampled_from(
        [
            "",
            "a",
            "A",
            "10",
            "9",
            "-1",
            "1.50",
            "1.5",
            "true",
            "P1D",
            "PT24H",
            "-PT0.5S",
            "1e3",
            " 1",
            "%",
            "_",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=6,
)
ROWS = st.lists(
    st.builds(
        state,
        st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4),
        type=st.sampled_from(["com.Cash", "com.Asset"]),
        leaf_idx=st.integers(0, 3),
        created=st.integers(0, 3),
        consumed=st.one_of(st.none(), st.integers(0, 3)),
        token_amount=st.one_of(st.none(), st.sampled_from(["1", "1.0", "0.5", "20"])),
        token_tag=st.one_of(st.none(), st.sampled_from(["", "x"])),
    ),
    max_size=6,
)
QUOTED = st.one_of(
    st.sampled_from(KEYS).map(lambda key: "'" + key.replace("'", "''") + "'"),
    st.sampled_from(["0", "1"]),
)


@st.composite
def jsons(draw):
    steps = draw(st.lists(QUOTED, max_size=2))
    return " -> ".join([REP, *steps])


TEXTS = st.one_of(
    st.builds("({} ->> {})".format, jsons(), QUOTED),
    st.sampled_from(["visible_states.type", "visible_states.token_tag", "'a'", "'10'", "''"]),
    st.just(f"({REP} -> '{CONTRACT_STATE}' ->> 'stateRef')"),
)
NUMBERS = st.one_of(
    st.builds("{}::{}".format, TEXTS, st.sampled_from(["int", "bigint", "numeric", "float"])),
    st.sampled_from(["5", "-1", "1.5", "10", "visible_states.leaf_idx"]),
    st.just("visible_states.token_amount"),
)
INSTANTS = st.sampled_from(
    [
        "visible_states.created",
        "visible_states.consumed",
        "'1970-01-01T00:00:00.001000Z'",
        "'1970-01-01T00:00:00.001500Z'",
    ]
)
DURATIONS = st.one_of(
    st.builds("{}::interval".format, TEXTS),
    st.sampled_from(["'PT36H'", "'-P1D'", "'P1DT12H0M0.000000S'"]).map("{}::interval".format),
)
FLAGS = st.one_of(st.builds("{}::boolean".format, TEXTS), st.sampled_from(["TRUE", "FALSE"]))
SIGNS = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
NOT = st.sampled_from(["", "NOT "])


def compared(operand):
    return st.one_of(
        st.builds("{} {} {}".format, operand, SIGNS, operand),
        st.builds("{} {}IN ({}, {})".format, operand, NOT, operand, operand),
        st.builds("{} IS {}NULL".format, operand, NOT),
    )


TESTS = st.one_of(
    *(compared(operand) for operand in (TEXTS, NUMBERS, FLAGS, DURATIONS)),
    # A literal alone takes no type from a column: one side is always a column.
    st.builds("visible_states.created {} {}".format, SIGNS, INSTANTS),
    st.builds("visible_states.consumed IS {}NULL".format, NOT),
    st.builds("{} {}LIKE {}".format, TEXTS, NOT, st.sampled_from(["'%'", "'_'", "'a%'", "'1_'"])),
    st.builds("{} ? {}".format, jsons(), QUOTED.filter(lambda key: key.startswith("'"))),
    st.builds("{} IS {}NULL".format, jsons(), NOT),
)
CONDITIONS = st.recursive(
    TESTS,
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["AND", "OR"]), inner),
    max_leaves=4,
)
ORDERS = st.lists(
    st.tuples(st.one_of(TEXTS, NUMBERS, DURATIONS), st.booleans()), max_size=2
).map(tuple)  # fmt: skip


@settings(max_examples=examples(300), deadline=None)
@given(ROWS, CONDITIONS, ORDERS)
def test_sql_keeps_and_orders_the_rows_that_the_model_does(database, rows, condition, order):
    both(database, f"WHERE {condition}", rows, order_by=order)


PEOPLE = [
    state({"p.P": {"name": "Ada", "age": 36, "tags": ["x", "y"], "limit": "1.50"}}, leaf_idx=0),
    state({"p.P": {"name": "alan", "age": 9007199254740993.0, "limit": "-2"}}, leaf_idx=1),
    state({"p.P": {"name": None, "age": "36", "tags": [], "limit": "1e400"}}, leaf_idx=2),
    state({"q.Q": {"it's": 'a"b', "ok": True}}, leaf_idx=3),
]
NAME, AGE = f"{REP} -> 'p.P' ->> 'name'", f"({REP} -> 'p.P' ->> 'age')::int"


@pytest.mark.parametrize(
    ("where", "parameters", "expected"),
    [
        (f"WHERE {NAME} = :name", {"name": "Ada"}, [0]),
        (f"WHERE {NAME} = :name", {"name": None}, []),
        (f"WHERE {NAME} IS NULL", {}, [2, 3]),
        (f"WHERE {NAME} != 'Ada'", {}, [1]),
        (f"WHERE {NAME} LIKE :p", {"p": "a%"}, [1]),
        (f"WHERE {NAME} NOT LIKE :p", {"p": "a%"}, [0]),
        (f"WHERE {NAME} IN :names", {"names": ["Ada", "alan", None]}, [0, 1]),
        (f"WHERE {NAME} IN :names", {"names": []}, []),
        (f"WHERE {NAME} NOT IN (:one, 'Ada')", {"one": "x"}, [1]),
        (f"WHERE :name IS NULL OR {NAME} = :name", {"name": None}, [0, 1, 2, 3]),
        (f"WHERE {AGE} = :age", {"age": 36}, [0, 2]),
        (f"WHERE {AGE} = :age", {"age": "36.0"}, [0, 2]),
        (f"WHERE {AGE} < 37 AND {NAME} = 'Ada'", {}, [0]),
        (f"WHERE ({REP} -> 'p.P' ->> 'limit')::numeric = 1.5", {}, [0]),
        (f"WHERE ({REP} -> 'p.P' ->> 'limit')::numeric > 1" + "0" * 399, {}, [2]),
        (f"WHERE {REP} -> 'p.P' -> 'tags' ->> 1 = 'y'", {}, [0]),
        (f"WHERE {REP} -> 'p.P' -> 'tags' ? :tag", {"tag": "x"}, [0]),
        (f"WHERE {REP} -> 'p.P' ->> 'tags' = '[]'", {}, [2]),
        (f"WHERE {REP} ? 'p.P'", {}, [0, 1, 2]),
        (f"WHERE {REP} ? :type", {"type": CONTRACT_STATE}, [0, 1, 2, 3]),
        (f"WHERE {REP} -> 'q.Q' ->> 'it''s' = 'a\"b'", {}, [3]),
        (f"WHERE ({REP} -> 'q.Q' ->> 'ok')::boolean", {}, [3]),
        (f"WHERE {REP} -> '{CONTRACT_STATE}' ->> 'stateRef' = :ref", {"ref": f"{ID}:2"}, [2]),
        ("WHERE visible_states.created > :t", {"t": "1970-01-01T00:00:00.000000Z"}, [0, 1, 2, 3]),
        ("WHERE visible_states.created > :t", {"t": "1970-01-01T00:00:00.001000Z"}, []),
    ],
)
def test_a_query_finds(database, where, parameters, expected):
    assert both(database, where, PEOPLE, parameters) == expected


def test_amounts_compare_with_all_their_digits(database):
    amounts = [
        "0.1",
        "0.10",
        "0.1000000000000000000000000000001",
        "123456789012345678901.000000001",
    ]
    rows = [state({"c.C": {"amount": amount}}, leaf_idx=i) for i, amount in enumerate(amounts)]
    amount = f"({REP} -> 'c.C' ->> 'amount')::numeric"
    assert both(database, f"WHERE {amount} = :a", rows, {"a": "0.1"}) == [0, 1]
    assert both(database, f"WHERE {amount} > 0.1", rows) == [2, 3]
    assert both(
        database, f"WHERE {amount} >= 123456789012345678901.000000001", rows, order_by=((amount, True),)
    ) == [3]  # fmt: skip


def test_durations_compare_and_sort_by_their_length(database):
    """As texts, `P10D` is before `P2D`, and a day is not 24 hours."""
    lengths = [timedelta(days=10), timedelta(days=2), timedelta(hours=-1), timedelta(hours=48)]
    texts = [to_json(length, timedelta) for length in lengths]
    rows = [
        state({"n.N": {"notice": text}}, leaf_idx=i) for i, text in enumerate([*texts, "2 days"])
    ]
    notice = f"({REP} -> 'n.N' ->> 'notice')::interval"
    order_by = ((notice, False),)
    assert both(database, None, rows, order_by=order_by) == [2, 1, 3, 0, 4]
    assert both(database, f"WHERE {notice} = :n", rows, {"n": texts[1]}) == [1, 3]
    assert both(database, f"WHERE {notice} < 'PT48H'", rows) == [2]
    assert both(database, f"WHERE {notice} IN ('P2D', :n)", rows, {"n": "-PT60M"}) == [1, 2, 3]
    assert both(database, f"WHERE {notice} IN :n", rows, {"n": ["P10D", None]}) == [0]
    assert both(database, f"WHERE {notice} >= 'PT0S'::interval", rows) == [0, 1, 3]


def test_results_are_ordered_with_nothing_last(database):
    assert both(database, None, PEOPLE, order_by=((NAME, False),)) == [0, 1, 2, 3]
    assert both(database, None, PEOPLE, order_by=((NAME, True),)) == [1, 0, 2, 3]
    assert both(database, None, PEOPLE, order_by=((f"{REP} ->> 'z'", True),)) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "parameter 'name' of query 'q' is missing"),
        (
            {"name": "a", "other": 1},
            "has no parameter 'other'; it has flag, name, names, number, pattern",
        ),
        ({"name": 5}, "'name' must be of type text, found 5"),
        ({"name": True}, "must be of type text, found True"),
        ({"name": ["a"]}, "must be of type text"),
        ({"name": "a" * 4097}, "longer than 4096"),
        ({"names": "a"}, "'names' must be a list of at most 1000"),
        ({"names": ["a", 5]}, "'names'[1] must be of type text"),
        ({"names": ["a"] * 1001}, "at most 1000"),
        ({"number": "five"}, "'number' must be of type number, found 'five'"),
        ({"number": True}, "must be of type number"),
        ({"since": "today"}, "'since' must be of type instant"),
        ({"flag": "true"}, "'flag' must be of type boolean"),
        ({"pattern": "%%%%%"}, "is a pattern, which has at most 4 '%'"),
    ],
)
def test_values_that_do_not_fit_are_refused(values, words):
    query = compile_query(
        QueryDeclaration(
            name="q",
            where=f"WHERE {NAME} = :name AND {NAME} IN :names AND {AGE} > :number"
            f" AND visible_states.created > :since AND ({NAME})::boolean = :flag"
            f" AND {NAME} LIKE :pattern",
        )
    )
    most = {
        "name": "a", "names": [], "number": 1, "since": None, "flag": True, "pattern": "%"
    }  # fmt: skip
    with pytest.raises(CapabilityError) as refused:
        bound_values("q", query.uses, most | values if values else {})
    assert refused.value.code == "query-parameter"
    assert words in refused.value.message


def test_no_text_of_a_query_enters_the_statement(database):
    text = "x') OR 1=1 --"
    query = compile_query(
        QueryDeclaration(
            name="q",
            where=f"WHERE {REP} -> '{text.replace(chr(39), chr(39) * 2)}' ->> 'a' = 'secret'"
            f" AND {REP} ? 'other''s' AND {NAME} LIKE 'pattern'",
        )
    )
    statement = select(STATES.c.seq).where(Compiler(STATES.c, query.uses).condition(query.where))
    with database.read() as connection:
        compiled = str(statement.compile(connection))
    for part in ("1=1", "secret", "other", "pattern"):
        assert part not in compiled
    assert '$."p.P"."name"' in compiled


@pytest.mark.parametrize(
    ("path", "plain"),
    [(("com.r3.Cash", "owner"), True), (("a", 3), True), (("it's",), False), (("a b",), False)],
)
def test_paths_of_plain_names_can_be_indexed(path, plain):
    assert has_plain_names(path) is plain
    assert isinstance(JsonText(STATES.c.custom_representation, path).type, Text | String)
