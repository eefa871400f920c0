"""The text of vault-named queries: grammar, types, refusals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.domain.capability_error import CapabilityError
from host.domain.packages import QueryDeclaration
from host.ledger.query.cursor import QueryCursor, parse_cursor
from host.ledger.query.declared import QUERIES_MAX, compile_queries, compile_query
from host.ledger.query.errors import QueryDeclarationError, QueryTextError
from host.ledger.query.lexer import CHARACTERS_MAX, TokenKind, tokens_of
from host.ledger.query.parser import DEPTH_MAX, NODES_MAX, parse_condition
from host.ledger.query.typing import Use, ValueType

REP = "visible_states.custom_representation"
FIELD = f"{REP} ->> 'property'"
"""Stands for Corda's `field ->> property`."""


def query(where, **more):
    return compile_query(QueryDeclaration(name="q", where=where, **more))


def refusal(where, **more):
    with pytest.raises(QueryDeclarationError) as refused:
        query(where, **more)
    assert refused.value.code == "query-declaration-invalid"
    return refused.value.message


ACCEPTED = [
    "WHERE visible_states.type = 'some_value'",
    "WHERE visible_states.\"type\" = 'some_value'",
    f"WHERE {FIELD} = 'some_value'",
    f"WHERE {FIELD} = :value",
    f"WHERE {REP} -> 'json property' ->> 'nested' = 'some_value'",
    f"WHERE {REP} -> 'json property' -> 'nested' ->> 'nested_more' = 'some_value'",
    f"WHERE {REP} -> 'list' ->> 0 = 'some_value'",
    *(f"WHERE ({FIELD})::int {sign} 5" for sign in ("=", "!=", "<", "<=", ">", ">=")),
    f"WHERE ({FIELD})::int <= :value",
    f"WHERE ({FIELD})::int = 1234.5678900",
    f"WHERE ({FIELD})::numeric > -5",
    f"WHERE {FIELD} = 'some_value' AND {REP} ->> 'property2' = 'another value?'",
    f"WHERE {FIELD} = 'some_value' OR {REP} ->> 'property2' = 'another value'",
    f"WHERE {FIELD} = 'a' AND {REP} ->> 'b' = 'b' OR {REP} ->> 'c' = 'third property?'",
    f"WHERE ({FIELD} = 'a' AND {REP} ->> 'b' = 'b') OR {REP} ->> 'c' = 'third property?'",
    f"WHERE {FIELD} = 'a' AND ({REP} ->> 'b' = 'b') OR {REP} ->> 'c' = 'third property'",
    f"WHERE ({FIELD} = 'a' AND ({REP} ->> 'b' = 'b') OR {REP} ->> 'c' = 'third property')",
    f"WHERE {FIELD} IS NULL",
    f"WHERE {FIELD} IS NOT NULL",
    f"WHERE {FIELD} IN ('asd', 'fields value', 'asd')",
    f"WHERE ({FIELD} IN ('asd', 'fields value') AND {REP} ->> 'b' = 'another value')",
    f"WHERE {FIELD} NOT IN (:one, 'two')",
    f"WHERE ({FIELD} LIKE '%hello there%')",
    f"WHERE {FIELD} NOT LIKE :pattern",
    f"WHERE {REP} ? 'property'",
    f"WHERE {REP} -> 'inner' ? 'property'",
    f"""
        where
            ({REP}->>'salary'='10'
            and ({REP} ->> 'salary')::int>9.00000000
            or {REP} ->> 'field with space' is null)
    """,
    f"""WHERE {REP} -> 'TestUtxoState' ->> 'testField' = :testField
        AND {REP} -> 'Corda' ->> 'participants' IN :participants
        AND {REP}?:contractStateType
        AND visible_states.created > :created""",
    "WHERE visible_states.created < '2026-11-21T05:00:00.000000Z'",
    f"WHERE ({FIELD})::boolean = TRUE AND visible_states.consumed IS NULL",
    f"WHERE :owner IS NULL OR {FIELD} = :owner",
    f"WHERE {FIELD} = 'it''s'",
    f"WHERE ({FIELD})::boolean",
    "WHERE :wanted::boolean = TRUE",
]


@pytest.mark.parametrize("where", ACCEPTED)
def test_queries_in_the_grammar_are_taken(where):
    assert query(where).where is not None


def test_a_query_without_a_condition_is_of_all_states():
    assert query(None).where is None


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("", "position 1, at the end: a query begins with WHERE"),
        ("SELECT field", "at 'SELECT': a query cannot contain the SELECT keyword"),
        (
            "WHERE visible_states.type = 'a' from t",
            "position 33, at 'from': a query cannot contain the FROM",
        ),
        ("FROM table", "the FROM keyword"),
        ("WHERE", "position 6, at the end: expected visible_states.<column>"),
        ("WHERE type = 'a'", "position 7, at 'type': expected visible_states.<column>"),
        ("WHERE visible_states = 'a'", "at '=': expected '.'"),
        ("WHERE visible_states.state = 'a'", "at 'state': visible_states has no such column"),
        (f"WHERE {REP} ->> 'a'::int = 5", "'::' binds before '->'"),
        (f"WHERE {REP} ->> \"a\" = 'a'", "expected a key in single quotes"),
        (f"WHERE {REP} ->> -1 = 'a'", "at '-1': expected a key"),
        (f"WHERE {REP} -> 'a' = 'a'", "JSON cannot be compared: use ->> for its text"),
        (f"WHERE {REP} IN :all", "JSON cannot be compared"),
        (f"WHERE ({REP} -> 'a')::int = 1", "JSON has no cast"),
        (f"WHERE {FIELD} -> 'a' IS NULL", "expected json, found text"),
        (f"WHERE {FIELD} = 5", "at '5': expected text, found number"),
        (f"WHERE {FIELD} = TRUE", "expected text, found boolean"),
        (f"WHERE ({FIELD})::int = '5'", "at \"'5'\": expected number, found text"),
        (f"WHERE ({FIELD})::money = 5", "'money' is no type; types are text"),
        ("WHERE visible_states.created = 5", "expected instant, found number"),
        ("WHERE visible_states.created = 'today'", "expected an instant such as"),
        ("WHERE visible_states.leaf_idx::text = '1'", "number has no cast to text"),
        ("WHERE visible_states.token_amount::int = 1", "number has no cast to int; text has"),
        ("WHERE :a = :b", "parameters alone have no type: cast one of them"),
        ("WHERE :a IS NULL", "parameter :a has no type"),
        (f"WHERE {FIELD}", "expected boolean, found text"),
        (
            f"WHERE {FIELD} = :a AND visible_states.leaf_idx = :a",
            "parameter :a is text elsewhere, and number here",
        ),
        (f"WHERE {FIELD} = :a AND {FIELD} IN :a", "is text elsewhere, and a list of text here"),
        (f"WHERE {FIELD} LIKE '%a%b%c%d%'", "a pattern has at most 4 '%'"),
        (f"WHERE {FIELD} IS 5", "at '5': expected NULL"),
        (f"WHERE {FIELD} NOT = 5", "at '=': expected LIKE or IN"),
        (f"WHERE NOT {FIELD} = 'a'", "at 'NOT': expected visible_states.<column>"),
        (f"WHERE {FIELD} = 'a' = 'b'", "expected the end of the query, AND or OR"),
        (f"WHERE {FIELD} = 'a", "the quote is not closed"),
        (f"WHERE {FIELD} <> 'a'", "expected visible_states"),
        (f"WHERE {FIELD} = 'a'; DROP TABLE x", "at '; DROP TABLE x': no token begins so"),
        (f"WHERE {FIELD} = 'a' -- more", "no token begins so"),
        (f"WHERE {FIELD} AS a = 'b'", "at 'AS'"),
        (f"WHERE ({FIELD} = 'a'", "at the end: expected ')'"),
        (f"WHERE {FIELD} IN ()", "at ')': expected"),
        (f"WHERE {FIELD} = 'a' ORDER BY 1", "at 'ORDER': expected the end of the query"),
        (f"WHERE {FIELD} ->", "at the end: expected a key in single quotes"),
        (f"WHERE {REP} ->", "at the end: expected a key in single quotes"),
    ],
)
def test_queries_outside_the_grammar_are_refused_by_token(where, words):
    message = refusal(where)
    assert message.startswith("query 'q': where: position ")
    assert words in message


def test_a_refusal_names_position_and_token():
    with pytest.raises(QueryTextError) as refused:
        parse_condition("WHERE  visible_states.type == 'a'")
    assert (refused.value.position, refused.value.token) == (29, "=")


def test_a_query_has_a_size():
    most = " AND ".join([f"{FIELD} IS NULL"] * ((NODES_MAX - 1) // 3))
    assert query(f"WHERE {most}").where is not None
    assert "at most 100 operands" in refusal(f"WHERE {most} AND {FIELD} IS NULL")
    deep = "(" * DEPTH_MAX + FIELD + " IS NULL" + ")" * DEPTH_MAX
    assert query(f"WHERE {deep}").where is not None
    assert "nested at most 32 deep" in refusal(f"WHERE ({deep})")
    long = f"WHERE {FIELD} = '{'a' * CHARACTERS_MAX}'"
    assert f"at most {CHARACTERS_MAX} characters" in refusal(long)


@given(st.text(alphabet="WHERE visble_stas.cutomrpn->'\"():=?,5%AND OR IN", max_size=80))
def test_any_text_is_taken_or_refused_by_token(text):
    try:
        query("WHERE " + text)
    except QueryDeclarationError as refused:
        assert "position" in refused.message  # noqa: PT017  # any text may be refused


def test_parameters_have_the_type_of_what_they_are_compared_with():
    found = query(
        f"WHERE {FIELD} = :text AND ({FIELD})::numeric < :number AND ({FIELD})::boolean = :flag"
        f" AND visible_states.created >= :since AND {FIELD} IN :many AND {FIELD} LIKE :pattern"
        f" AND {REP} ? :key AND :wanted::int = 3 AND :with-dashes = {FIELD}"
    )
    assert found.uses == {
        "text": Use(type=ValueType.TEXT),
        "number": Use(type=ValueType.NUMBER),
        "flag": Use(type=ValueType.BOOLEAN),
        "since": Use(type=ValueType.INSTANT),
        "many": Use(type=ValueType.TEXT, many=True),
        "pattern": Use(type=ValueType.TEXT, pattern=True),
        "key": Use(type=ValueType.TEXT),
        "wanted": Use(type=ValueType.NUMBER),
        "with-dashes": Use(type=ValueType.TEXT),
    }


def test_a_query_names_the_paths_that_it_compares_and_orders_by():
    found = query(
        f"WHERE {REP} -> 'com.Cash' ->> 'owner' = :owner AND {REP} ? 'com.Cash'"
        f" AND ({REP} -> 'com.Cash' ->> 'owner') IN ('a')",
        order_by=((f"({REP} -> 'com.Cash' -> 'list' ->> 0)::int", True),),
    )
    assert found.paths == (("com.Cash", "owner"), ("com.Cash", "list", 0))


def test_what_is_ordered_by_has_an_order():
    found = query(None, order_by=(("visible_states.created", True), (FIELD, False)))
    assert [descending for _, descending in found.order] == [True, False]
    assert "orderBy[0]: position 1" in refusal(None, order_by=((f"{REP} -> 'a'", False),))
    assert "JSON has no order" in refusal(None, order_by=((REP, False),))
    assert "no type" in refusal(None, order_by=((":a", False),))
    assert "orderBy[1]" in refusal(None, order_by=((FIELD, False), ("created DESC", False)))
    assert "orders by 9 expressions" in refusal(None, order_by=((FIELD, False),) * 9)


def test_queries_have_names_of_their_own():
    with pytest.raises(QueryDeclarationError, match="'a' is declared twice"):
        compile_queries([QueryDeclaration(name="a"), QueryDeclaration(name="a")])
    with pytest.raises(QueryDeclarationError, match="is no name of a query"):
        compile_query(QueryDeclaration(name="a b"))
    many = [QueryDeclaration(name=f"q{i}") for i in range(QUERIES_MAX + 1)]
    assert len(compile_queries(many[:-1])) == QUERIES_MAX
    with pytest.raises(QueryDeclarationError, match="101 queries"):
        compile_queries(many)


def test_a_cursor_comes_back_as_it_went():
    cursor = QueryCursor(digest="ab" * 32, snapshot=17, last=2**63 - 1)
    assert parse_cursor(cursor.encoded(), "ab" * 32) == cursor


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "damaged"),
        ("bm9uZQ==", "damaged"),
        ("x" * 513, "at most 512"),
        ("W10=", "damaged"),
        (QueryCursor(digest="cd" * 32, snapshot=1, last=1).encoded(), "belongs to another"),
        (QueryCursor(digest="ab" * 32, snapshot=-1, last=1).encoded(), "damaged"),
        (QueryCursor(digest="ab" * 32, snapshot=1, last=2**63).encoded(), "damaged"),
        (QueryCursor(digest="ab" * 32, snapshot=True, last=1).encoded(), "damaged"),
        ("\N{GREEK SMALL LETTER ALPHA}", "damaged"),
    ],
)
def test_a_cursor_of_others_is_refused(text, words):
    with pytest.raises(CapabilityError, match=words) as refused:
        parse_cursor(text, "ab" * 32)
    assert refused.value.code == "query-cursor-invalid"


def test_keywords_are_known_in_any_letter_case_and_spaces_do_not_count():
    plain = f"WHERE {FIELD} IS NOT NULL AND {FIELD} LIKE 'a' OR {FIELD} IN ('A', 'b c')"
    lower = plain.replace("WHERE", "where").replace("IS NOT NULL", "Is nOt nuLL")
    lower = lower.replace("AND", "anD").replace("LIKE", "like").replace("OR", "or")
    lower = lower.replace("IN (", "In (")
    spaced = lower.replace(" ", " \t\n  ").replace("b \t\n  c", "b c")
    assert query(plain).where == query(lower).where == query(f"\n {spaced} \t").where
    names = "asasas fromfrom selects wherewhere andand oror isnull inin likes"
    assert {token.kind for token in tokens_of(names)[:-1]} == {TokenKind.NAME}
    for word in ("select", "seLEcT", "FROM", "frOM"):
        assert "keyword" in refusal(f"WHERE {FIELD} = 'a' {word} b")


def test_tokens_are_found_without_spaces_between_them():
    found = tokens_of("a.b->>'c d'!=:x::int(-1.50)")
    assert [token.source for token in found][:-1] == [
        "a", ".", "b", "->>", "'c d'", "!=", ":x", "::", "int", "(", "-1.50", ")"
    ]  # fmt: skip
    assert found[-1].kind is TokenKind.END
