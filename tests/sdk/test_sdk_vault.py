"""What contract packages say about their states in vaults, and queries as flows run them."""

import importlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from cordapp import guest, registry
from cordapp.contracts import (
    Contract,
    ContractState,
    PublicKey,
    StateAndRef,
    StateRef,
    belongs_to,
    state_to_json,
)
from cordapp.errors import HostApi
from cordapp.ledger import UtxoLedgerService
from cordapp.registry import DeclarationError, name_of
from cordapp.vault import (
    Collected,
    UtxoToken,
    VaultNamedQuery,
    secure_hash,
    token_observer,
    vault_index,
    vault_json,
)

TX = "SHA-256D:" + "AB" * 32
CASH = f"{__name__}.Cash"
WATCHER = PublicKey("watcher")
_KINDS = (
    registry.CONTRACTS,
    registry.STATES,
    registry.CONSENSUAL_STATES,
    registry.COMMANDS,
    registry.QUERIES,
    registry.FLOWS,
    registry.ENTITIES,
)


@pytest.fixture(autouse=True)
def only_mine(monkeypatch):
    """The process has the classes of other tests, too."""
    for kind in _KINDS:
        for name in list(kind):
            if not name.startswith(__name__):
                monkeypatch.delitem(kind, name)


class CashContract(Contract):
    def verify(self, transaction):
        pass

    def is_visible(self, state, checker):
        return checker.contains_my_signing_keys([*state.participants, state.watcher])


@dataclass(frozen=True)
class Fungible(ContractState):
    owner: PublicKey
    amount: Decimal
    watcher: PublicKey = WATCHER

    @property
    def participants(self):
        return [self.owner]


@vault_index("owner", "amount")
@vault_index("label")
@belongs_to(CashContract)
@dataclass(frozen=True)
class Cash(Fungible):
    label: str = ""


@belongs_to(CashContract)
@dataclass(frozen=True)
class Plain(Fungible):
    pass


class PlainContract(Contract):
    def verify(self, transaction):
        pass


@belongs_to(PlainContract)
@dataclass(frozen=True)
class Quiet(ContractState):
    participants: list[PublicKey]


@vault_json(Fungible)
def fungible_json(state):
    return {"amount": state.amount}


@vault_json(Cash)
def cash_json(cash):
    if cash.label == "fail":
        raise ArithmeticError("no JSON")
    return {"owner": cash.owner, "label": cash.label}


@token_observer(Cash)
def cash_token(found):
    if found.state.amount == 0:
        return None
    return UtxoToken(found.state.amount, "GBP", secure_hash("bank"), priority=found.ref.index)


class CashByOwner(VaultNamedQuery):
    name = "Cash.by-owner"
    where_json = "WHERE visible_states.type = :type"
    order_by = ("visible_states.created", ("visible_states.leaf_idx", "desc"))
    unconsumed_only = True

    def filter(self, found, parameters):
        return found.state.amount >= Decimal(parameters["least"])

    def map(self, found, parameters):
        return found.state.amount

    def collect(self, results, parameters):
        return Collected([sum(results)], is_done=len(results) < 2)


class AllCash(VaultNamedQuery):
    """No condition, and the class's name."""


def test_describe_tells_of_queries_and_of_what_a_node_runs_for_its_vault():
    described = json.loads(guest.describe())
    assert described["queries"] == [
        {
            "name": "Cash.by-owner",
            "where": "WHERE visible_states.type = :type",
            "orderBy": [
                {"expression": "visible_states.created", "descending": False},
                {"expression": "visible_states.leaf_idx", "descending": True},
            ],
            "unconsumedOnly": True,
        },
        {"name": name_of(AllCash), "where": None, "orderBy": [], "unconsumedOnly": False},
    ]
    states = {s["name"]: s.get("vault") for s in described["states"]}
    assert states[CASH] == {
        "visible": True, "json": True, "token": True, "indexes": [["owner", "amount"], ["label"]]
    }  # fmt: skip
    assert states[name_of(Plain)] == {"visible": True, "json": True, "token": False, "indexes": []}
    assert states[name_of(Quiet)] is None


def recorded(*states, keys):
    transaction = {"id": TX, "outputs": [state_to_json(state) for state in states]}
    body = {"transaction": transaction, "outputs": list(range(len(states))), "myKeys": keys}
    start = {"flowClass": "cordbox:vault", "requestBody": {"op": "record", **body}}
    return json.loads(guest.run(json.dumps(start), None))


def test_the_functions_of_a_package_say_what_a_node_keeps():
    cash = Cash(PublicKey("me"), Decimal("1.50"), label="x")
    assert recorded(cash, keys=["me"]) == [
        {
            "index": 0,
            "visible": True,
            "json": {
                CASH: {"owner": "me", "label": "x"},
                name_of(Fungible): {"amount": "1.50"},
            },
            "token": {
                "tokenType": CASH,
                "issuerHash": secure_hash("bank"),
                "symbol": "GBP",
                "amount": "1.50",
                "tag": None,
                "ownerHash": None,
                "priority": 0,
            },
        }
    ]


def test_states_that_the_contract_hides_have_nothing_and_those_without_functions_their_value():
    nothing = {"visible": False, "json": None, "token": None}
    zero = Cash(PublicKey("other"), Decimal(0))
    quiet = Quiet([PublicKey("me")])
    hidden, plain, shown, none = recorded(
        Cash(PublicKey("other"), Decimal(1), PublicKey("third")), quiet, zero, quiet, keys=["watcher"]
    )  # fmt: skip
    assert hidden == {"index": 0, **nothing}
    assert plain == {"index": 1, **nothing} == {**none, "index": 1}
    assert (shown["visible"], shown["token"]) == (True, None)
    (mine,) = recorded(quiet, keys=["me"])
    assert mine == {"index": 0, "visible": True, "json": None, "token": None}


def test_a_failing_function_fails_the_run():
    with pytest.raises(guest.Failed) as failed:
        recorded(Cash(PublicKey("me"), Decimal(1), label="fail"), keys=["me"])
    assert json.loads(failed.value.payload)["message"] == "no JSON"


WRONG = """\
from cordapp.vault import VaultNamedQuery

class Number(VaultNamedQuery):
    where_json = 5

class Order(VaultNamedQuery):
    order_by = "visible_states.created"

class Direction(VaultNamedQuery):
    order_by = [("visible_states.created", "UP")]

class Filter(VaultNamedQuery):
    def filter(self):
        return True

class Made(VaultNamedQuery):
    def __init__(self, value):
        self.value = value
"""


def test_queries_that_cannot_work_are_mistakes_of_their_declarations(tmp_path, monkeypatch):
    (tmp_path / "wrong_queries.py").write_text(WRONG)
    monkeypatch.syspath_prepend(tmp_path)
    before = dict(registry.QUERIES)
    try:
        importlib.import_module("wrong_queries")
        with pytest.raises(DeclarationError) as refused:
            guest.describe()
    finally:
        registry.QUERIES.clear()
        registry.QUERIES.update(before)
    assert str(refused.value).split("\n") == [
        "wrong_queries.py:10: Direction.order_by: lists expressions, each a text or (text, "
        '"ASC" or "DESC")',
        "wrong_queries.py:13: Filter.filter: is called with other arguments: write def"
        " filter(self, found, parameters)",
        "wrong_queries.py:17: Made.__init__: needs a constructor without arguments",
        "wrong_queries.py:4: Number.where_json: is no text, which begins with WHERE",
        "wrong_queries.py:7: Order.order_by: lists expressions, each a text or (text, "
        '"ASC" or "DESC")',
    ]


class Vault(HostApi):
    """Answers of a vault with ten coins of 0 to 9, in pages."""

    def __init__(self):
        self.asked = []

    def call(self, interface, function, request):
        assert (interface, function) == ("ledger", "query")
        self.asked.append(request)
        if request["results"] == "count":
            return 10
        begin = int(request["after"] or 0)
        end = min(begin + request["limit"], 10)
        results = [
            {"stateRef": f"{TX}:{i}", "state": state_to_json(Cash(PublicKey("me"), Decimal(i)))}
            for i in range(begin, end)
        ]
        return {"results": results, "next": None if end == 10 else str(end)}


def test_filter_map_and_collect_are_applied_and_pages_filled():
    vault = Vault()
    query = UtxoLedgerService(vault).query(CashByOwner, int).set_limit(3)
    found = query.set_parameter("type", CASH).set_parameters({"least": 2}).execute()
    assert found.results == [Decimal(2 + 3 + 4)]
    assert [(r["after"], r["limit"]) for r in vault.asked] == [(None, 3), ("3", 2)]
    assert found.has_next()
    assert found.next() == [Decimal(5 + 6 + 7)]
    assert found.next() == [Decimal(8 + 9)]
    assert not found.has_next()
    assert found.next() == []
    assert vault.asked[0] == {
        "op": "named",
        "name": "Cash.by-owner",
        "parameters": {"type": CASH, "least": 2},
        "limit": 3,
        "after": None,
        "createdBefore": None,
        "results": "states",
    }


def test_collect_may_end_a_query_and_few_pages_are_read_for_one():
    vault = Vault()
    query = UtxoLedgerService(vault).query("Cash.by-owner", int).set_limit(1)
    found = query.set_parameter("least", 9).execute()
    assert len(vault.asked) == 5
    assert found.results == [0]
    assert not found.has_next()  # fewer than two results: `collect` says so


def test_a_query_of_another_language_answers_states():
    vault = Vault()
    query = UtxoLedgerService(vault).query("other", StateAndRef)
    limited = query.set_created_timestamp_limit(datetime(2026, 1, 1, tzinfo=UTC))
    found = limited.set_limit(2).execute()
    assert [each.ref for each in found.results] == [StateRef(TX, 0), StateRef(TX, 1)]
    assert vault.asked[0]["createdBefore"] == "2026-01-01T00:00:00.000000Z"
    assert limited.count() == 10
    assert vault.asked[-1]["results"] == "count"
