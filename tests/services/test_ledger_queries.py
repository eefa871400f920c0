"""Vault-named queries on a node's ledger: results, pages, indexes, limits."""

from dataclasses import replace

import pytest

from host.adapters.sqlite.vaults import Vaults
from host.database.sql import dialect_of
from host.domain.capability_error import CapabilityError
from host.domain.instants import instant_text
from host.domain.packages import QueryDeclaration, StateInVault
from host.ledger.queries import NamedQueries
from host.ledger.query.typing import CONTRACT_STATE
from host.ledger.vault.tables import SCHEMA as LEDGER
from host.vault.idempotency import REQUESTS
from tests.services.ledger_support import IOU
from tests.services.support import (
    ALICE,
    BOB,
    NOW,
    context,
    contract_cpk,
    cpi,
    holding,
    workflow_cpk,
)

AMOUNT = f"(visible_states.custom_representation -> '{IOU}' ->> 'amount')"
QUERIES = (
    QueryDeclaration(name="all"),
    QueryDeclaration(name="unconsumed", unconsumed_only=True),
    QueryDeclaration(
        name="at-least",
        where=f"WHERE {AMOUNT}::int >= :least",
        order_by=((f"{AMOUNT}::int", True),),
        unconsumed_only=True,
    ),
    QueryDeclaration(name="of-amount", where=f"WHERE {AMOUNT} = :amount", unconsumed_only=True),
    QueryDeclaration(
        name="spent", where="WHERE visible_states.consumed IS NOT NULL AND visible_states.created"
        " <= :until AND visible_states.type = :type",
    ),
    QueryDeclaration(
        name="by-ref",
        where=f"WHERE visible_states.custom_representation -> '{CONTRACT_STATE}' ->> 'stateRef'"
        " IN :refs",
    ),
    QueryDeclaration(name="tokens", where="WHERE visible_states.token_symbol IS NOT NULL"),
)  # fmt: skip


def cpi_of(name="iou", *, indexes=(("amount",),), queries=QUERIES):
    state = StateInVault(state=IOU, indexes=indexes)
    cpk = replace(contract_cpk(), queries=queries, states_in_vault=(state,))
    return cpi(cpks=(cpk, workflow_cpk()), name=name)


@pytest.fixture
def ledger(net):
    net.cpi = cpi_of()
    return net


def ask(ledger, name, *, node=ALICE, limit=100, after=None, record=None, **request):
    whole = {"op": "named", "name": name, "parameters": {}, "limit": limit, "after": after}
    return ledger.call(node, "query", whole | request, record=record)


def amounts(answer):
    return [found["state"]["value"]["amount"] for found in answer["results"]]


def refused(code, *args, **request):
    with pytest.raises(CapabilityError) as error:
        ask(*args, **request)
    assert error.value.code == code
    return error.value.message


def consume(ledger, ref, *outputs):
    builder = ledger.builder(*map(ledger.output, outputs), inputs=[ref])
    signed = ledger.call(ALICE, "build", builder)
    ledger.call(ALICE, "record", {"transaction": signed})


def test_a_query_finds_states_with_their_references(ledger):
    refs = ledger.issue(5, 7, 6)
    found = ask(ledger, "at-least", parameters={"least": 6})
    assert amounts(found) == [7, 6]
    assert found["results"][0] == {
        "stateRef": refs[1],
        "state": ledger.call(ALICE, "find", {"stateRefs": [refs[1]]})[0]["state"],
    }
    assert found["next"] is None
    assert amounts(ask(ledger, "at-least", node=BOB, parameters={"least": "6.5"})) == [7]


def test_each_node_asks_its_own_vault(ledger):
    ledger.issue(5, at=(ALICE,))
    assert amounts(ask(ledger, "all")) == [5]
    assert amounts(ask(ledger, "all", node=BOB)) == []


def test_consumed_states_are_found_where_they_are_not_left_out(ledger):
    refs = ledger.issue(5, 6, at=(ALICE,))
    consume(ledger, refs[0], 3)
    assert amounts(ask(ledger, "all")) == [5, 6, 3]
    assert amounts(ask(ledger, "unconsumed")) == [6, 3]
    until = {"until": instant_text(NOW), "type": IOU}
    assert amounts(ask(ledger, "spent", parameters=until)) == [5]
    assert amounts(ask(ledger, "spent", parameters=until | {"type": "other"})) == []
    assert amounts(ask(ledger, "by-ref", parameters={"refs": refs[:1]})) == [5]
    assert amounts(ask(ledger, "tokens")) == []


def test_pages_follow_each_other_in_the_querys_order(ledger):
    ledger.issue(3, 1, 2, 3, 2)
    seen, after, pages = [], None, 0
    while True:
        page = ask(ledger, "at-least", limit=2, after=after, parameters={"least": 1})
        seen += [found["stateRef"][-1] for found in page["results"]]
        pages, after = pages + 1, page["next"]
        if after is None:
            break
    assert (seen, pages) == (["0", "3", "2", "4", "1"], 3)


def test_what_is_recorded_after_the_first_page_is_on_none(ledger):
    ledger.issue(1, 2)
    first = ask(ledger, "all", limit=1)
    ledger.issue(3)
    second = ask(ledger, "all", limit=1, after=first["next"])
    assert (amounts(first), amounts(second), second["next"]) == ([1], [2], None)
    assert amounts(ask(ledger, "all")) == [1, 2, 3]


def test_a_state_that_was_consumed_between_pages_is_the_place_all_the_same(ledger):
    refs = ledger.issue(3, 2, 1, at=(ALICE,))
    first = ask(ledger, "at-least", limit=1, parameters={"least": 1})
    consume(ledger, refs[0])
    second = ask(ledger, "at-least", after=first["next"], parameters={"least": 1})
    assert (amounts(first), amounts(second)) == ([3], [2, 1])


def test_results_are_states_json_or_a_number(ledger):
    (ref,) = ledger.issue(5)
    shown = ask(ledger, "all", results="json")["results"]
    assert shown == [{IOU: {"amount": 5}, CONTRACT_STATE: {"stateRef": ref}}]
    assert ask(ledger, "all", results="count") == 1
    assert ask(ledger, "at-least", results="count", parameters={"least": 6}) == 0


def test_a_page_has_about_a_megabyte_at_most(ledger):
    large = [ledger.output(value={"amount": n, "text": "x" * 400_000}) for n in (1, 2, 3)]
    signed = ledger.call(ALICE, "build", ledger.builder(*large))
    ledger.call(ALICE, "record", {"transaction": signed})
    first = ask(ledger, "all")
    second = ask(ledger, "all", after=first["next"])
    assert (amounts(first), amounts(second), second["next"]) == ([1, 2], [3], None)
    assert len(ask(ledger, "all", results="json")["results"]) == 2


def test_only_states_recorded_before_a_time_are_found(ledger):
    ledger.issue(5)
    assert amounts(ask(ledger, "all", createdBefore=instant_text(NOW))) == []
    later = instant_text(NOW)[:-4] + "001Z"
    assert amounts(ask(ledger, "all", createdBefore=later)) == [5]


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        ({"name": "none"}, "query-unknown", "declared are all, at-least, by-ref"),
        ({"parameters": {"least": 1}}, "query-parameter", "has no parameter 'least'; it has none"),
        ({"parameters": []}, "request-invalid", "'parameters' must be an object"),
        ({"limit": 0}, "request-invalid", "'limit' must be a whole number from 1 to 1000"),
        ({"limit": 1001}, "request-invalid", "'limit'"),
        ({"after": "x"}, "query-cursor-invalid", "damaged"),
        ({"createdBefore": "yesterday"}, "request-invalid", "'createdBefore' is no instant"),
        ({"results": "xml"}, "request-invalid", "one of states, json, count"),
        ({"offset": 3}, "request-invalid", "unknown field 'offset'"),
    ],
)
def test_requests_that_no_query_takes_are_refused(ledger, request_, code, words):
    request = {"name": "all", **request_}
    assert words in refused(code, ledger, request.pop("name"), **request)


def test_a_place_in_another_query_is_refused(ledger):
    ledger.issue(1, 2)
    after = ask(ledger, "all", limit=1)["next"]
    words = "belongs to another query, or to other parameters"
    assert words in refused("query-cursor-invalid", ledger, "unconsumed", after=after)
    at_least = ask(ledger, "at-least", limit=1, parameters={"least": 1})["next"]
    assert words in refused(
        "query-cursor-invalid", ledger, "at-least", after=at_least, parameters={"least": 2}
    )


def test_queries_are_those_of_the_nodes_own_package(ledger):
    other = cpi_of("other", queries=(QueryDeclaration(name="mine"),))
    assert ask(ledger, "mine", record=other)["results"] == []
    refused("query-unknown", ledger, "all", record=other)


def indexes(ledger, node=ALICE):
    with ledger.vaults.read(holding(node).short_hash) as connection:
        return dialect_of(connection).index_names(connection, "ledger_by_")


def plan(ledger, name, parameters):
    """How the database answers a query, with the vault's indexes."""
    seen = []

    def note(connection, _cursor, statement, parameters, *_):
        if statement.startswith("SELECT ledger_output.seq, ledger_transaction.id"):
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            seen.extend(row[3] for row in rows)

    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    event.listen(Engine, "before_cursor_execute", note)
    try:
        ask(ledger, name, parameters=parameters)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return seen


def test_declared_indexes_are_made_used_and_dropped(ledger):
    ledger.issue(*range(1, 20))
    assert indexes(ledger) == set()
    assert amounts(ask(ledger, "of-amount", parameters={"amount": "7"})) == [7]
    (index,) = indexes(ledger)
    assert any(index in step for step in plan(ledger, "of-amount", {"amount": "7"}))
    ask(ledger, "all", record=cpi_of("two", indexes=(("amount",), ("owner.name", "amount"))))
    assert len(indexes(ledger)) == 2
    ask(ledger, "all", record=cpi_of("none", indexes=()))
    assert indexes(ledger) == set()
    assert amounts(ask(ledger, "of-amount", parameters={"amount": "7"})) == [7]
    assert indexes(ledger) == {index}


def test_a_full_vault_is_queried_without_its_indexes(net, tmp_path):
    net.cpi = cpi_of()
    net.issue(*range(1, 20))
    full = Vaults(tmp_path / "vnodes", [REQUESTS, LEDGER], bytes_max_of=lambda _: 1)
    queries = NamedQueries(full)
    request = {"op": "named", "name": "of-amount", "parameters": {"amount": "7"}, "limit": 10}
    answer = queries.answer(context(ALICE, 900, cpi_record=net.cpi), request)
    full.close()
    assert amounts(answer) == [7]
    assert indexes(net) == set()


def test_a_query_that_takes_too_long_names_what_it_compares(ledger):
    ledger.issue(*range(1, 40))
    clock = iter(range(0, 10**6, 6))
    queries = NamedQueries(ledger.vaults, lambda: next(clock))
    request = {"op": "named", "name": "at-least", "parameters": {"least": 1}, "limit": 10}
    with pytest.raises(CapabilityError) as refused:
        queries.answer(context(ALICE, 900, cpi_record=ledger.cpi), request)
    assert refused.value.code == "query-too-slow"
    assert refused.value.message.endswith(f"declare an index; it compares {IOU} -> amount")
