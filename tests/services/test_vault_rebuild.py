"""Rebuilds of a vault: what functions say now replaces what they said, by bounded steps."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from host.domain.capability_error import CapabilityError
from host.domain.packages import QueryDeclaration, StateInVault
from host.ledger.functions import vault_rebuild
from host.ledger.protocols.vault_rebuild import STEPS_MAX, RebuildRequest, rebuild_vault
from host.ledger.vault.tables import CLAIM, OUTPUT
from host.ports.programs import Call, Forget, Remember
from tests.services.ledger_support import IOU
from tests.services.support import ALICE, NOW, contract_cpk, cpi, holding, workflow_cpk

NODE = holding(ALICE).short_hash
POOL_OF = {"tokenType": IOU, "issuerHash": "SHA-256:AA", "notary": None, "symbol": "GBP"}
LAST = 2**62


def said(times=1, hidden=()):
    """Functions: tokens of the amount, times a factor; states of some amounts are not visible."""

    def answer(state, _node):
        amount = state["value"]["amount"]
        token = {"tokenType": IOU, "issuerHash": "SHA-256:AA", "symbol": "GBP"}
        return {
            "visible": amount not in hidden,
            "json": {IOU: {"shown": amount * times}},
            "token": {**token, "amount": str(amount * times)},
        }

    return answer


def fail(*_):
    raise CapabilityError("vault-function-failed", "broken")


@pytest.fixture
def ledger(net):
    """Alice's packages have functions; every state is visible at first."""
    state = StateInVault(state=IOU, json=True, token=True)
    queries = (QueryDeclaration(name="all"),)
    cpk = replace(contract_cpk(), states_in_vault=(state,), queries=queries)
    code = replace(workflow_cpk(), state_types=cpk.state_types)
    net.cpi = cpi(cpks=(cpk, code))
    net.functions.answer = said()
    return net


def issue(ledger, *amounts, inputs=()):
    made = [ledger.output(value={"amount": amount}) for amount in amounts]
    signed = ledger.call(ALICE, "build", ledger.builder(*made, inputs=inputs))
    ledger.call(ALICE, "record", {"transaction": signed})
    return [f"{signed['id']}:{index}" for index in range(len(amounts))]


def rebuild(ledger, after=0, until=LAST):
    told = {"rebuild": "r", "transactions": 0, "changed": 0, "failed": 0}
    return ledger.call(ALICE, "protocol.rebuild-outputs", {"after": after, "until": until, **told})


def rebuilt(ledger):
    """The changes of a whole rebuild: a step may end by time."""
    changed, step = 0, {"after": 0, "done": False}
    while not step["done"]:
        step = rebuild(ledger, after=step["after"])
        changed += step["changed"]
    return changed


def rows(ledger, *columns):
    with ledger.vaults.read(NODE) as connection:
        return connection.execute(select(*columns).order_by(columns[0])).all()


def balance(ledger):
    found = ledger.call(ALICE, "query", {"op": "token-balance", **POOL_OF})
    return found["available"], found["total"]


def unconsumed(ledger, limit=100):
    """References of the unconsumed states, read by pages."""
    request = {"op": "unconsumed", "type": IOU, "limit": limit, "createdBefore": None}
    found, after = [], None
    while True:
        page = ledger.call(ALICE, "query", {**request, "after": after})
        found += [each["stateRef"] for each in page["results"]]
        after = page["next"]
        if after is None:
            return found


def test_what_the_functions_say_now_replaces_what_they_said(ledger):
    coins = issue(ledger, 5, 7)
    before = rows(ledger, OUTPUT.c.seq, OUTPUT.c.output_index, OUTPUT.c.created_at)
    ledger.functions.answer = said(times=10)
    step = rebuild(ledger)
    assert step == {"after": 1, "done": True, "transactions": 1, "changed": 1, "failed": 0}
    assert rows(ledger, OUTPUT.c.seq, OUTPUT.c.output_index, OUTPUT.c.created_at) == before
    shown = [row.representation for row in rows(ledger, OUTPUT.c.seq, OUTPUT.c.representation)]
    assert ["50" in shown[0], "70" in shown[1]] == [True, True]
    assert balance(ledger) == ("120", "120")
    assert unconsumed(ledger) == coins
    assert rebuild(ledger)["changed"] == 0


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_outputs_that_are_visible_now_come_after_all_others(ledger, limit):
    """Their numbers do not follow those of their transactions' others."""
    ledger.functions.answer = said(hidden=(2, 3))
    first = issue(ledger, 1, 2, 6)
    second = issue(ledger, 3, 4)
    assert unconsumed(ledger, limit) == [first[0], first[2], second[1]]
    ledger.functions.answer = said()
    assert rebuilt(ledger) == 2
    expected = [first[0], first[2], second[1], first[1], second[0]]
    assert unconsumed(ledger, limit) == expected
    request = {"op": "named", "name": "all", "parameters": {}, "limit": 100, "after": None}
    found = ledger.call(ALICE, "query", request)["results"]
    assert [each["stateRef"] for each in found] == expected
    assert {row.created_at for row in rows(ledger, OUTPUT.c.seq, OUTPUT.c.created_at)} == {NOW}
    assert balance(ledger) == ("16", "16")


def test_an_output_that_was_consumed_unseen_is_consumed(ledger):
    ledger.functions.answer = said(hidden=(2,))
    coins = issue(ledger, 2)
    issue(ledger, 3, inputs=coins)
    ledger.functions.answer = said()
    assert rebuild(ledger)["changed"] == 1
    assert balance(ledger) == ("3", "3")
    assert coins[0] not in unconsumed(ledger)
    at = [row.consumed_at for row in rows(ledger, OUTPUT.c.seq, OUTPUT.c.consumed_at)]
    assert at == [None, NOW]


def test_outputs_that_are_invisible_now_leave_the_vault_and_their_claims(ledger):
    coins = issue(ledger, 2, 3)
    spent = issue(ledger, 4)
    issue(ledger, 9, inputs=spent)
    request = {"op": "claim-tokens", **POOL_OF, "targetAmount": "14"}
    assert len(ledger.call(ALICE, "record", request)["tokens"]) == 3
    ledger.functions.answer = said(hidden=(3, 4))
    assert rebuild(ledger)["changed"] == 2
    assert unconsumed(ledger)[0] == coins[0]
    assert balance(ledger) == ("0", "11")
    ledger.functions.answer = said(hidden=(2, 3, 4, 9))
    rebuild(ledger)
    assert (balance(ledger), rows(ledger, OUTPUT.c.seq)) == (("0", "0"), [])
    assert rows(ledger, CLAIM.c.claim) == []


def test_a_claimed_token_that_is_as_it_was_stays_claimed(ledger):
    issue(ledger, 2, 3)
    request = {"op": "claim-tokens", **POOL_OF, "targetAmount": "5"}
    assert len(ledger.call(ALICE, "record", request)["tokens"]) == 2
    assert rebuild(ledger)["changed"] == 0
    assert balance(ledger) == ("0", "5")


def test_functions_that_fail_change_nothing(ledger):
    issue(ledger, 5)
    before = rows(ledger, *OUTPUT.c)
    ledger.functions.answer = fail
    step = rebuild(ledger)
    assert (step["changed"], step["failed"], step["done"]) == (0, 1, True)
    assert rows(ledger, *OUTPUT.c) == before


def test_what_failed_before_is_mended(ledger):
    ledger.functions.answer = fail
    issue(ledger, 5)
    assert balance(ledger) == ("0", "0")
    ledger.functions.answer = said()
    assert rebuild(ledger)["changed"] == 1
    assert balance(ledger) == ("5", "5")


def test_a_step_is_bounded_and_the_next_one_goes_on(ledger, monkeypatch):
    monkeypatch.setattr(vault_rebuild, "STEP_TRANSACTIONS", 2)
    for amount in range(1, 6):
        issue(ledger, amount)
    ledger.functions.answer = said(times=2)
    steps = []
    while not steps or not steps[-1]["done"]:
        steps.append(rebuild(ledger, steps[-1]["after"] if steps else 0, until=4))
    assert [each["transactions"] for each in steps] == [2, 2, 0]
    assert balance(ledger) == ("25", "25")  # what came after the rebuild began is left
    monkeypatch.setattr(vault_rebuild, "STEP_SECONDS", -1.0)
    assert rebuild(ledger)["transactions"] == 1


def test_a_page_after_an_output_that_has_gone_is_refused(ledger):
    """A list that ended there would hide what comes after it."""
    issue(ledger, 1, 2, 3)
    query = ledger.cpi.cpks[0].queries[0]
    ordered = replace(query, order_by=(("visible_states.type", False),))
    cpk = replace(ledger.cpi.cpks[0], queries=(ordered,))
    ledger.cpi = cpi(cpks=(cpk, *ledger.cpi.cpks[1:]), name="ordered")
    request = {"op": "named", "name": "all", "parameters": {}, "limit": 1}
    after = ledger.call(ALICE, "query", {**request, "after": None})["next"]
    ledger.functions.answer = said(hidden=(1,))
    rebuild(ledger)
    with pytest.raises(CapabilityError) as refused:
        ledger.call(ALICE, "query", {**request, "after": after})
    assert refused.value.code == "query-cursor-invalid"


def drive(program, answers):
    """The operations of a program whose steps have these answers, and its result."""
    made, answer = [], None
    while True:
        try:
            operation = program.send(answer)
        except StopIteration as ended:
            return made, ended.value
        made.append(operation)
        is_step = isinstance(operation, Call) and operation.function == "rebuild-outputs"
        answer = answers.pop(0) if is_step else None


def test_a_flow_makes_some_steps_and_remembers_the_next():
    wanted = RebuildRequest(rebuild="r", after=0, until=99)
    step = {"done": False, "transactions": 2, "changed": 1, "failed": 1}
    answers = [{**step, "after": 2 * number} for number in range(1, STEPS_MAX + 1)]
    made, result = drive(rebuild_vault(wanted.to_json()), answers)
    assert [type(each) for each in made] == [Call] * STEPS_MAX + [Remember]
    assert (made[-1].key, made[-1].after_ms) == ("vault-rebuild:r", 0)
    assert result == {**made[-1].request, "done": False}
    assert result["after"] == result["transactions"] == 2 * STEPS_MAX
    made, result = drive(rebuild_vault(made[-1].request), [{**step, "after": 50, "done": True}])
    assert [type(each) for each in made] == [Call, Call, Forget]
    assert made[0].request.items() >= {"after": 2 * STEPS_MAX, "until": 99}.items()
    assert made[-1].key == "vault-rebuild:r"
    assert (result["done"], result["changed"]) == (True, STEPS_MAX + 1)
