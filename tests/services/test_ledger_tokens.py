"""Vault functions of contract packages, and claims on tokens, on a node's vault."""

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from host.domain.capability_error import CapabilityError
from host.domain.errors import UnavailableError
from host.domain.packages import StateInVault
from host.ledger.tokens import CLAIM_MS, TokenClaims
from host.ledger.vault.tables import CLAIM, OUTPUT, POOL
from host.runtime.wiring.services import VaultAnswers
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

NODE = holding(ALICE).short_hash
POOL_OF = {"tokenType": IOU, "issuerHash": "SHA-256:AA", "notary": None, "symbol": "GBP"}


def token(amount, **more):
    return {
        "tokenType": IOU, "issuerHash": "SHA-256:AA", "symbol": "GBP", "amount": str(amount), **more
    }  # fmt: skip


def said(value, _node):
    """A token of the state's amount; `priority` and `tag` are the state's, if it has them."""
    amount = value["value"]["amount"]
    more = {name: value["value"].get(name) for name in ("priority", "tag", "ownerHash")}
    return {"visible": True, "json": {IOU: {"n": amount}}, "token": token(amount, **more)}


@pytest.fixture
def ledger(net):
    state = StateInVault(state=IOU, json=True, token=True)
    cpk = replace(contract_cpk(), states_in_vault=(state,))
    code = replace(workflow_cpk(), state_types=cpk.state_types)
    net.cpi = cpi(cpks=(cpk, code))
    net.functions.answer = said
    return net


def issue(ledger, *values, at=(ALICE,)):
    made = [ledger.output(value={"amount": v} if isinstance(v, int) else v) for v in values]
    signed = ledger.call(ALICE, "build", ledger.builder(*made))
    for name in at:
        ledger.call(name, "record", {"transaction": signed})
    return [f"{signed['id']}:{index}" for index in range(len(values))]


def claim(ledger, amount, number=None, **more):
    request = {"op": "claim-tokens", **POOL_OF, "targetAmount": str(amount), **more}
    return ledger.call(ALICE, "record", request, number=number)


def balance(ledger, **more):
    found = ledger.call(ALICE, "query", {"op": "token-balance", **POOL_OF, **more})
    return found["available"], found["total"]


def amounts(found):
    return [claimed["amount"] for claimed in found["tokens"]]


def rows(ledger, statement, node=NODE):
    with ledger.vaults.read(node) as connection:
        return connection.execute(statement).all()


def test_the_functions_say_what_a_vault_keeps(ledger):
    ledger.functions.answer = lambda state, node: (
        {"visible": False} if node != NODE else said(state, node)
    )
    (ref,) = issue(ledger, 5, at=(ALICE, BOB))
    ((node, request), *_) = ledger.functions.asked
    assert node == NODE
    assert request["transaction"]["id"] == ref[:-2]
    assert request["myKeys"] == [ledger.keys[ALICE]]
    assert rows(ledger, select(OUTPUT.c.representation)) == [('{"iou.Iou":{"n":5}}',)]
    assert rows(ledger, select(OUTPUT.c.seq), holding(BOB).short_hash) == []


def test_a_state_without_json_is_shown_as_its_value(ledger):
    ledger.functions.answer = lambda *_: {"visible": True}
    issue(ledger, 5)
    assert rows(ledger, select(OUTPUT.c.representation)) == [('{"iou.Iou":{"amount":5}}',)]


@pytest.mark.parametrize(
    "answer",
    [
        {"visible": True, "token": token("-1")},
        {"visible": True, "token": token("1e3")},
        {"visible": True, "token": token("9" * 39)},
        {"visible": True, "token": {"amount": "1"}},
        {"visible": "yes"},
        {"visible": True, "json": []},
        {"visible": True, "json": {"x": "y" * 70_000}},
        {"visible": True, "more": 1},
        {"index": 7, "visible": True},
        CapabilityError("vault-function-failed", "broken"),
    ],
)
def test_a_function_that_fails_holds_up_no_transaction(ledger, answer):
    def fail(*_):
        if isinstance(answer, CapabilityError):
            raise answer
        return answer

    ledger.functions.answer = fail
    issue(ledger, 5)
    assert rows(ledger, select(OUTPUT.c.representation, OUTPUT.c.pool)) == [
        ('{"iou.Iou":{"amount":5}}', None)
    ]


def test_a_run_that_is_lost_leaves_the_transaction_to_the_next_attempt(ledger):
    def lose(*_):
        raise UnavailableError("the worker has gone")

    ledger.functions.answer = lose
    with pytest.raises(UnavailableError):
        issue(ledger, 5)
    assert rows(ledger, select(OUTPUT.c.seq)) == []
    ledger.functions.answer = said
    issue(ledger, 5)
    assert balance(ledger) == ("5", "5")


def test_packages_without_functions_are_not_run(net):
    net.issue(5)
    assert net.functions.asked == []


def test_tokens_are_claimed_until_the_amount_is_reached(ledger):
    refs = issue(ledger, 1, 2, 2, 2, 3)
    first = claim(ledger, 4)
    assert sum(map(int, amounts(first))) >= 4
    assert sum(map(int, amounts(first)[:-1])) < 4
    claimed = Decimal(sum(map(int, amounts(first))))
    assert balance(ledger) == (str(10 - claimed), "10")
    rest = claim(ledger, 10 - claimed)
    taken = [each["stateRef"] for each in first["tokens"] + rest["tokens"]]
    assert sorted(taken) == sorted(refs)
    assert claim(ledger, 1) is None
    assert balance(ledger) == ("0", "10")


def test_a_claim_that_is_not_met_takes_nothing(ledger):
    issue(ledger, 5)
    assert claim(ledger, "5.000000000000000001") is None
    assert balance(ledger) == ("5", "5")
    assert rows(ledger, select(CLAIM)) == []


def test_the_same_call_has_the_same_answer(ledger):
    issue(ledger, 1, 2, 3)
    first = claim(ledger, 2, number=50)
    assert claim(ledger, 2, number=50) == first
    assert claim(ledger, 100, number=51) is None
    issue(ledger, 200)
    assert claim(ledger, 100, number=51) is None
    again = {"dedupId": "rent"}
    assert claim(ledger, 100, number=52, **again) == claim(ledger, 100, number=53, **again)
    assert len(rows(ledger, select(CLAIM))) == 2


def test_tokens_go_by_priority_those_without_one_last(ledger):
    issue(ledger, *({"amount": 1, "priority": p} for p in (3, None, 2, 1, 2)))
    found = claim(ledger, 5, strategy="PRIORITY")
    assert [each["priority"] for each in found["tokens"]] == [1, 2, 2, 3, None]


def test_claims_begin_at_different_places(ledger):
    issue(ledger, *[1] * 30)
    first = {claim(ledger, 1, number=n)["tokens"][0]["stateRef"] for n in range(100, 110)}
    assert len(first) == 10
    orders = {tuple(each["stateRef"] for each in claim(ledger, 20, number=110)["tokens"])}
    assert orders


def test_tokens_are_chosen_by_tag_and_owner(ledger):
    values = [("a", None), ("b t1 c", None), (None, "h"), ("t1", "h")]
    issue(ledger, *({"amount": 1, "tag": tag, "ownerHash": owner} for tag, owner in values))
    assert balance(ledger, tagRegex="t1") == ("2", "2")
    assert balance(ledger, ownerHash="h") == ("2", "2")
    assert balance(ledger, tagRegex="^t1$", ownerHash="h") == ("1", "1")
    (found,) = claim(ledger, 1, tagRegex="^t1$", ownerHash="h")["tokens"]
    assert (found["tag"], found["ownerHash"]) == ("t1", "h")
    assert balance(ledger, tagRegex="t1") == ("1", "2")
    assert claim(ledger, 2, tagRegex="t1") is None


def test_pools_are_of_one_type_issuer_notary_and_symbol(ledger):
    issue(ledger, 5)
    for name in ("tokenType", "issuerHash", "notary", "symbol"):
        assert balance(ledger, **{name: "other"}) == ("0", "0")
        assert claim(ledger, 1, **{name: "other"}) is None


def test_a_token_that_is_consumed_leaves_its_pool_and_its_claim(ledger):
    refs = issue(ledger, 2, 3)
    claim(ledger, 5)
    builder = ledger.builder(inputs=[refs[0]])
    ledger.call(ALICE, "record", {"transaction": ledger.call(ALICE, "build", builder)})
    assert balance(ledger) == ("0", "3")
    assert rows(ledger, select(POOL.c.total, POOL.c.count)) == [("3", 1)]
    builder = ledger.builder(inputs=[refs[1]])
    ledger.call(ALICE, "record", {"transaction": ledger.call(ALICE, "build", builder)})
    assert rows(ledger, select(CLAIM)) == []
    assert balance(ledger) == ("0", "0")


def test_a_claim_ends_with_its_flow(ledger):
    issue(ledger, 5)
    claim(ledger, 5)
    answers = VaultAnswers(ledger.vaults, SimpleNamespace(now_ms=lambda: NOW))
    answers.forget(NODE, "another flow")
    assert balance(ledger) == ("0", "5")
    answers.forget(NODE, context(ALICE, 1).flow_id)
    assert balance(ledger) == ("5", "5")
    assert rows(ledger, select(CLAIM)) == []


def test_a_claim_ends_with_its_time(ledger):
    issue(ledger, 5)
    claim(ledger, 5)
    request = {"op": "claim-tokens", **POOL_OF, "targetAmount": "5"}
    later = replace(context(ALICE, 900, cpi_record=ledger.cpi), now=NOW + CLAIM_MS - 1)
    assert ledger.capability.call(later, "record", request) is None
    later = replace(context(ALICE, 901, cpi_record=ledger.cpi), now=NOW + CLAIM_MS)
    balance_then = ledger.capability.call(later, "query", {"op": "token-balance", **POOL_OF})
    assert balance_then == {"available": "5", "total": "5"}
    assert amounts(ledger.capability.call(later, "record", request)) == ["5"]
    assert len(rows(ledger, select(CLAIM))) == 1


def test_a_claim_lasts_as_long_as_the_setting_says(ledger):
    issue(ledger, 5)
    claims = TokenClaims(ledger.vaults, lambda: 1000)
    request = {"op": "claim-tokens", **POOL_OF, "targetAmount": "5"}
    claims.claim(context(ALICE, 700, cpi_record=ledger.cpi), request)
    assert rows(ledger, select(CLAIM.c.expires_at)) == [(NOW + 1000,)]


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        ({"targetAmount": "0"}, "token-criteria-invalid", "more than 0"),
        ({"targetAmount": "-1"}, "token-criteria-invalid", "without sign"),
        ({"targetAmount": 5}, "request-invalid", "'targetAmount'"),
        ({"strategy": "FIRST"}, "token-criteria-invalid", "one of RANDOM, PRIORITY"),
        ({"tagRegex": "(a)\\1"}, "token-criteria-invalid", "linear time"),
        ({"tagRegex": "(?=a)"}, "token-criteria-invalid", "linear time"),
        ({"tagRegex": "(.{0,40}a){200}"}, "token-criteria-invalid", "too large"),
        ({"tagRegex": "("}, "token-criteria-invalid", "no regular expression"),
        ({"symbol": ""}, "request-invalid", "'symbol'"),
        ({"limit": 1}, "request-invalid", "unknown field 'limit'"),
    ],
)
def test_criteria_that_mean_nothing_are_refused(ledger, request_, code, words):
    with pytest.raises(CapabilityError) as refused:
        claim(ledger, 1, **request_)
    assert refused.value.code == code
    assert words in refused.value.message
