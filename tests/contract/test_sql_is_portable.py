"""Nobody but the adapters of SQLite speaks SQLite: what features say, PostgreSQL takes as well."""

import ast
import re
from pathlib import Path

import pytest
from sqlalchemy import Boolean, literal, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateIndex, CreateTable

from host.adapters.sqlite.database import Database
from host.database.sql import (
    DurationKey,
    Greatest,
    JsonField,
    JsonHasKey,
    JsonObjectOf,
    JsonPart,
    JsonText,
    Least,
    Like,
    NumberKey,
    Position,
    Upsert,
    dialect_of,
)
from host.entities.tables import ENTITY
from host.nodes.quotas.tables import USAGE
from host.runtime.wiring.schemas import CLUSTER_SCHEMAS, NOTARY_SCHEMAS, VAULT_SCHEMAS

ROOT = Path(__file__).parents[2]
ADAPTERS = (
    "host/adapters/sqlite/",
    "plugins/postgres/",
    "host/adapters/files/identity/",
    "host/tools/data_check/",
    "host/tools/backup/",
    "host/settings/reading.py",
    "host/runtime/wiring/administrative_reading.py",
)
"""The flow store, the database files, and what looks at files of a data directory."""
FEATURES = sorted(
    path
    for room in ("host", "plugins", "sandbox")
    for path in (ROOT / room).rglob("*.py")
    if not str(path.relative_to(ROOT)).startswith(ADAPTERS)
)
SQLITE = re.compile(
    r"json_extract|sqlite_master|\bPRAGMA\b|OR IGNORE|OR REPLACE|sqlite_\w+=| GLOB [:?'\"]|\browid\b"
    r"|page_count|pragma_|set_progress_handler"
)


def sqlite_of(tree):
    """What a module says in SQLite's words."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name == "sqlite3")
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "sqlite3" or node.module.startswith("sqlalchemy.dialects"):
                yield node.module
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from SQLITE.findall(node.value)
        elif isinstance(node, ast.Attribute) and node.attr in ("set_progress_handler", "instr"):
            yield node.attr
        elif isinstance(node, ast.Call):
            words = {keyword.arg or "" for keyword in node.keywords}
            # What is said to both databases is nobody's own.
            yield from (
                word
                for word in words
                if word.startswith("sqlite_") and word.replace("sqlite", "postgresql") not in words
            )


def test_only_adapters_of_sqlite_speak_sqlite():
    assert len(FEATURES) > 300
    found = {
        f"{path.relative_to(ROOT)}: {word}"
        for path in FEATURES
        for word in sqlite_of(ast.parse(path.read_text()))
    }
    assert found == set()


OPENERS = (
    "host.adapters.sqlite.database",
    "host.adapters.sqlite.node_databases",
    "host.adapters.sqlite.vaults",
    "host.adapters.files.cpi_files",
)
"""Where the adapters are: only what puts a process together, or looks at files, may know them."""
MAY_OPEN = (
    "host/adapters/sqlite/",
    "plugins/postgres/",
    "host/runtime/wiring/",
    "host/tools/testkit/",
)


def test_features_know_databases_vaults_and_package_files_by_their_ports():
    found = {
        f"{path.relative_to(ROOT)}: {node.module}"
        for path in FEATURES
        if not str(path.relative_to(ROOT)).startswith(MAY_OPEN)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module in OPENERS
    }
    assert found == set()


def test_this_test_knows_sqlite_when_it_sees_it():
    tree = ast.parse(
        "import sqlite3\nfrom sqlalchemy.dialects.sqlite import insert\n"
        "x = 'SELECT json_extract(a)'\nTable(sqlite_autoincrement=True)\nfunc.instr(a, b)\n"
    )
    assert len(set(sqlite_of(tree))) == 5


@pytest.mark.parametrize(
    "schema", [*CLUSTER_SCHEMAS, *VAULT_SCHEMAS, *NOTARY_SCHEMAS], ids=lambda s: s.name
)
def test_tables_and_indexes_are_made_in_postgresql(schema):
    dialect = postgresql.dialect()
    for table in schema.metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            assert str(CreateIndex(index).compile(dialect=dialect))


class _Postgres:
    """As much of a dialect of PostgreSQL as shows that `Upsert` asks for no more than it has."""

    def upsert(self, upsert):
        statement = postgresql.insert(upsert.table)
        if upsert.keep:
            return statement.on_conflict_do_nothing()
        return statement.on_conflict_do_update(
            index_elements=list(upsert.table.primary_key.columns),
            set_=upsert.changes(statement.excluded),
        )


for _element, _text in ((Least, "least"), (Greatest, "greatest")):
    compiles(_element, "postgresql")(
        lambda element, compiler, _text=_text, **kw: (
            f"{_text}({compiler.process(element.clauses, **kw)})"
        )
    )


def test_an_upsert_is_one_statement_in_postgresql_too():
    upsert = Upsert(table=USAGE, add=("value",), least=("first_at",), greatest=("last_at",))
    text = str(_Postgres().upsert(upsert).compile(dialect=postgresql.dialect()))
    assert "ON CONFLICT (short_hash, counter) DO UPDATE SET" in text
    assert "least(virtual_node_usage.first_at, excluded.first_at)" in text
    assert "value = (virtual_node_usage.value + excluded.value)" in text


@pytest.fixture
def database(tmp_path):
    with Database.open(tmp_path / "a.sqlite", (*CLUSTER_SCHEMAS, *VAULT_SCHEMAS)) as database:
        yield database


def test_an_upsert_replaces_adds_and_keeps_the_least_and_the_greatest(database):
    upsert = Upsert(table=USAGE, add=("value",), least=("first_at",), greatest=("last_at",))
    keep = Upsert(table=USAGE, keep=True)
    row = {"short_hash": "A" * 12, "counter": "runs", "value": 2, "first_at": 5, "last_at": 5}

    def write(connection):
        upsert.run(connection, row)
        upsert.run(connection, [row | {"first_at": 3}, row | {"last_at": 9, "value": 1}])
        keep.run(connection, row | {"value": 100})
        return connection.execute(select(USAGE)).all()

    assert database.transact(write) == [("A" * 12, "runs", 5, 3, 9)]


def test_functions_mean_what_they_say_in_sqlite(database):
    value = '{"owner": {"name": "a%b"}, "amount": 3}'
    row = {"type": "t", "key": "k", "value": value, "updated_at": 0}
    name, amount = (JsonField(ENTITY.c.value, path) for path in (("owner", "name"), ("amount",)))

    def ask(connection):
        connection.execute(ENTITY.insert(), row)
        with dialect_of(connection).limited_time(connection, 5, lambda: 0.0):
            return connection.execute(
                select(
                    name,
                    amount,
                    JsonField(ENTITY.c.value, ("none",)),
                    Like(name, literal("a%_")),
                    Like(name, literal("A%")),
                    Position(name, literal("%b")),
                    Position(name, literal("B")),
                    Least(amount, literal(4)),
                    Greatest(amount, literal(4)),
                )
            ).one()

    assert database.transact(ask) == ("a%b", 3, None, True, False, 2, 0, 3, 4)
    assert isinstance(Like(name, literal("")).type, Boolean)


def test_functions_on_json_texts_mean_what_they_say_in_sqlite(database):
    value = '{"a.b":{"c":["x",1.50,null]},"n":"1.50","q\\"":true}'
    row = {"type": "t", "key": "k", "value": value, "updated_at": 0}
    document = ENTITY.c.value

    def ask(connection):
        connection.execute(ENTITY.insert(), row)
        with dialect_of(connection).limited_time(connection, 5, lambda: 0.0):
            return connection.execute(
                select(
                    JsonPart(document, ("a.b",)),
                    JsonPart(document, ('q"',)),
                    JsonPart(document, ("none",)),
                    JsonText(document, ("a.b", "c", 0)),
                    JsonText(document, ("a.b", "c", 1)),
                    JsonText(document, ("a.b", "c", 2)),
                    JsonText(document, ('q"',)),
                    JsonHasKey(document, literal("n")),
                    JsonHasKey(JsonPart(document, ("a.b", "c")), literal("x")),
                    JsonHasKey(document, literal("m")),
                    NumberKey(JsonText(document, ("n",))) == NumberKey(literal(1.5)),
                    NumberKey(JsonText(document, ("n",)), 32),
                    NumberKey(literal("2147483648"), 32),
                    NumberKey(literal("2147483648"), 64) == NumberKey(literal(2147483648)),
                    DurationKey(literal("PT36H")) > DurationKey(literal("P1DT2H")),
                    DurationKey(literal("-P2D")) < DurationKey(literal("-PT1S")),
                    DurationKey(JsonText(document, ("n",))),
                    JsonObjectOf(literal("a"), JsonObjectOf(literal("b"), literal("c"))),
                )
            ).one()

    assert database.transact(ask) == (
        '{"c":["x",1.50,null]}', "true", None, "x", "1.50", None, "true", True, True, False,
        True, None, None, True, True, True, None, '{"a":{"b":"c"}}',
    )  # fmt: skip


def test_an_index_may_be_of_some_rows_only(database):
    field = JsonText(ENTITY.c.value, ("a.b", "c"))

    def change(connection):
        dialect = dialect_of(connection)
        some = ENTITY.c.sort_keys.is_(None)
        dialect.create_index(connection, "by_part", [field, ENTITY.c.key], where=some)
        asked = [select(ENTITY.c.key).where(field == "x", *more) for more in ((some,), ())]
        return [
            str(
                connection.exec_driver_sql(
                    f"EXPLAIN QUERY PLAN {q.compile(connection, compile_kwargs=_LITERAL)}"
                ).all()
            )
            for q in asked
        ]

    with_it, without = database.transact(change)
    assert "by_part" in with_it
    assert "by_part" not in without


_LITERAL = {"literal_binds": True}


def test_indexes_on_fields_are_made_found_used_and_dropped(database):
    field = JsonField(ENTITY.c.value, ("owner", "name"))
    query = select(ENTITY.c.key).where(ENTITY.c.type == "t", field == "x").order_by(ENTITY.c.key)

    def change(connection):
        dialect = dialect_of(connection)
        dialect.create_index(connection, "by_owner", [ENTITY.c.type, field, ENTITY.c.key])
        made = dialect.index_names(connection, "by_")
        compiled = query.compile(connection, compile_kwargs={"literal_binds": True})
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}").all()
        dialect.drop_index(connection, "by_owner")
        return made, str(plan), dialect.index_names(connection, "by_")

    made, plan, left = database.transact(change)
    assert made == {"by_owner"}
    assert "by_owner" in plan
    assert left == set()
