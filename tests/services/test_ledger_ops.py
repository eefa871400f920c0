"""Operations of the ledger that one call answers: drafts, filters, statuses, pages."""

import base64
import json

import pytest

from host.domain.capability_error import CapabilityError
from host.domain.instants import instant_text
from host.flow.engine.service_calls import ServiceCalls
from host.ledger.core.components import Group
from host.ledger.core.signed import read_signed
from host.ledger.core.statuses import Reason, Status
from host.ledger.programs import PROGRAMS
from host.ledger.vault import transactions
from host.ledger.vault.transactions import Origin
from sandbox.host_api import FUNCTIONS, OPS, unknown_op
from sandbox.host_function import Effect
from tests.services.ledger_support import IOU, NOTARY_NAME
from tests.services.support import ALICE, BOB, NOW, holding

WINDOW = {"from": None, "until": "2036-11-21T06:00:00.000000Z"}
UNKNOWN = f"SHA-256D:{'0' * 64}"


def refused(code, net, function, request, name=ALICE):
    with pytest.raises(CapabilityError) as error:
        net.call(name, function, request)
    assert error.value.code == code, error.value.message
    return error.value.message


@pytest.fixture
def signed(net):
    return net.call(ALICE, "build", net.builder(net.output(5), net.output(6)))


def test_a_draft_is_found_as_a_draft_only_until_it_is_recorded(net, signed):
    draft = {"op": "draft", "transaction": {**signed, "signatures": []}}
    for _ in range(2):
        assert net.call(ALICE, "record", draft) == {"id": signed["id"]}
    by_draft, by_id = {"op": "draft", "id": signed["id"]}, {"id": signed["id"]}
    assert net.call(ALICE, "find", by_draft) == {**signed, "signatures": []}
    assert net.call(ALICE, "find", by_id) is None
    assert net.call(BOB, "find", by_draft) is None
    assert net.unconsumed(ALICE)["results"] == []
    net.call(ALICE, "record", {"op": "draft", "transaction": signed})
    assert net.call(ALICE, "find", by_draft) == signed
    net.call(ALICE, "record", {"transaction": signed})
    assert net.call(ALICE, "find", by_draft) is None
    assert net.call(ALICE, "find", by_id) == signed
    net.call(ALICE, "record", draft)
    assert net.call(ALICE, "find", by_id) == signed


def test_a_draft_with_a_wrong_signature_is_refused(net, signed):
    raw = bytearray(base64.b64decode(signed["signatures"][0]["signature"]))
    raw[-1] ^= 1
    wrong = {**signed["signatures"][0], "signature": base64.b64encode(bytes(raw)).decode()}
    request = {"op": "draft", "transaction": {**signed, "signatures": [wrong]}}
    refused("signature-invalid", net, "record", request)
    status = net.call(ALICE, "find", {"op": "status", "ids": [signed["id"]]})
    assert status == [None]


def test_statuses_are_letters_in_the_order_of_the_question(net, signed):
    other = net.call(ALICE, "build", net.builder(net.output(7)))
    net.call(ALICE, "record", {"transaction": signed})

    def spoil(connection):
        transactions.keep(
            connection,
            read_signed(other),
            status=Status.INVALID,
            reason=Reason.REFUSED,
            origin=Origin.FINALITY,
            now=NOW,
        )

    net.vaults.transact(holding(ALICE).short_hash, spoil)
    ids = [UNKNOWN, other["id"], signed["id"], other["id"]]
    assert net.call(ALICE, "find", {"op": "status", "ids": ids}) == [None, "I", "V", "I"]
    assert net.call(BOB, "find", {"op": "status", "ids": ids}) == [None] * 4
    assert net.call(ALICE, "find", {"op": "status", "ids": []}) == []
    refused("request-invalid", net, "find", {"op": "status", "ids": ["x"]})
    refused("request-invalid", net, "find", {"op": "status", "ids": [UNKNOWN] * 1001})


def test_a_ledger_transaction_is_what_contracts_saw(net, signed):
    net.call(ALICE, "record", {"transaction": signed})
    ref = f"{signed['id']}:0"
    spend = net.call(ALICE, "build", net.builder(net.output(1), inputs=[ref]))
    request = {"op": "ledger-transaction", "id": spend["id"]}
    assert net.call(ALICE, "find", request) is None
    net.call(ALICE, "record", {"transaction": spend})
    assert net.call(ALICE, "find", request) == net.contracts.seen[-1]


def test_verifications_name_the_code_of_each(net, signed):
    request = {"op": "verifications", "id": signed["id"]}
    assert net.call(ALICE, "find", request) == []
    net.call(ALICE, "record", {"transaction": signed})
    (found,) = net.call(ALICE, "find", request)
    (cpk,) = net.cpi.contract_cpks()
    expected = {"party": None, "cpk": cpk.file_checksum, "code": cpk.code_digest}
    assert {name: found[name] for name in expected} == expected
    assert found["verdict"] == "accepted"


def test_group_parameters_are_found_by_hash_however_old(net):
    old = net.group.current
    net.group.add_notary(net.new_key(BOB, "notary"))
    for named in (old, net.group.current):
        found = net.call(ALICE, "find", {"op": "group-parameters", "hash": named})
        assert found["hash"] == named
        assert json.loads(found["parameters"])["epoch"] in (1, 2)
    nothing = {"op": "group-parameters", "hash": "SHA-256:00"}
    assert net.call(ALICE, "find", nothing) is None


def notarised(net):
    key = net.new_key(BOB, "notary")
    net.group.add_notary(key)
    builder = net.builder(
        *(net.output(n) for n in (1, 2, 3)), notary=NOTARY_NAME, timeWindow=WINDOW
    )
    return net.notarised(net.call(ALICE, "build", builder), key)


def filtered(net, signed, **keep):
    return net.call(ALICE, "build", {"op": "filter", "transaction": signed, "keep": keep})


def seen(net, shown):
    return net.call(BOB, "verify", {"op": "filtered", "filtered": shown})


def test_a_filter_shows_what_it_keeps_and_nothing_else(net):
    signed = notarised(net)
    shown = filtered(
        net, signed, notary=True, timeWindow=False, outputs=[2, 0, 2], commands="all", inputs="size"
    )
    content = seen(net, shown)
    assert content["id"] == signed["id"]
    assert content["metadata"] == json.loads(signed["componentGroups"][Group.METADATA][0])
    assert content["notary"]["name"] == NOTARY_NAME
    for hidden in ("timeWindow", "signatories", "references"):
        assert content[hidden] is None
    assert content["inputs"] == {"size": 0, "values": {}}
    assert content["outputs"] == {
        "size": 3,
        "values": {"0": net.output(1), "2": net.output(3)},
    }
    assert content["commands"]["values"]["0"] == {"type": "iou.Issue", "value": {}}
    text = json.dumps(shown)
    assert '{\\"amount\\":2}' not in text
    assert WINDOW["until"] not in text


def test_a_filter_of_nothing_still_proves_the_identifier(net, signed):
    content = seen(net, filtered(net, signed))
    assert [name for name, value in content.items() if value is not None] == ["id", "metadata"]
    sizes = seen(net, filtered(net, signed, outputs="size", signatories="size"))
    assert (sizes["outputs"], sizes["signatories"]) == ({"size": 2}, {"size": 1})


@pytest.mark.parametrize(
    "keep",
    [
        {"outputs": [2]},
        {"outputs": [-1]},
        {"outputs": []},
        {"outputs": [True]},
        {"outputs": ["0"]},
        {"outputs": "none"},
        {"outputs": {}},
        {"notary": 1},
        {"more": "all"},
    ],
)
def test_a_filter_that_cannot_be_made_is_refused(net, signed, keep):
    request = {"op": "filter", "transaction": signed, "keep": keep}
    refused("request-invalid", net, "build", request)


def test_a_changed_filtered_transaction_is_refused(net):
    shown = filtered(net, notarised(net), notary=True, outputs=[0])
    text = json.dumps(shown)
    changed = [
        text.replace('{\\"amount\\":1}', '{\\"amount\\":9}'),
        text.replace("O=Notary", "O=Motary"),
        text.replace(f'"id": "{shown["id"]}"', f'"id": "{UNKNOWN}"'),
    ]
    for each in changed:
        assert each != text
        refused("filtered-invalid", net, "verify", {"op": "filtered", "filtered": json.loads(each)})


def test_signatories_must_all_have_signed(net):
    signed = net.call(ALICE, "build", net.builder(net.output(5), signatories=(ALICE, BOB)))
    request = {"op": "signatories", "transaction": signed}
    refused("signature-missing", net, "verify", request)
    answer = net.call(BOB, "verify", {"transaction": signed, "sign": True})
    both = {**signed, "signatures": signed["signatures"] + answer["signatures"]}
    assert net.call(ALICE, "verify", {"op": "signatories", "transaction": both}) is None


def page(net, limit=2, after=None, before=None, name=ALICE, state_type=IOU):
    request = {"op": "unconsumed", "type": state_type, "limit": limit}
    return net.call(name, "query", {**request, "after": after, "createdBefore": before})


def amounts(found):
    return [each["state"]["value"]["amount"] for each in found["results"]]


def test_pages_show_the_states_of_the_first_pages_time_once_each(net):
    refs = net.issue(1, 2, 3, 4, 5)
    first = page(net)
    assert amounts(first) == [1, 2]
    spend = net.call(ALICE, "build", net.builder(net.output(9), inputs=[refs[0], refs[3]]))
    net.call(ALICE, "record", {"transaction": spend})
    second = page(net, after=first["next"])
    assert amounts(second) == [3, 5]
    assert second["next"] is None
    assert amounts(page(net, limit=100)) == [2, 3, 5, 9]
    exact = page(net, limit=4)
    assert (amounts(exact), exact["next"]) == ([2, 3, 5, 9], None)


def test_states_recorded_later_than_asked_for_are_left_out(net):
    net.issue(1)
    assert amounts(page(net, before=instant_text(NOW))) == []
    assert amounts(page(net, before=instant_text(NOW + 1))) == [1]
    refused("request-invalid", net, "query", {**EMPTY, "createdBefore": "today"})


EMPTY = {"op": "unconsumed", "type": IOU, "limit": 1, "after": None, "createdBefore": None}


def test_a_cursor_is_of_one_query(net):
    net.issue(1, 2)
    after = page(net, limit=1)["next"]
    refused("query-cursor-invalid", net, "query", {**EMPTY, "type": "x", "after": after})
    for damaged in ("x", after[:-4], after[4:], base64.b64encode(b"[]").decode()):
        refused("query-cursor-invalid", net, "query", {**EMPTY, "after": damaged})


def test_what_no_request_has_is_refused(net, signed):
    for function, request in [
        ("find", {"op": "draft", "id": "x"}),
        ("find", {"op": "draft", "id": UNKNOWN, "more": 1}),
        ("find", {"op": "ledger-transaction"}),
        ("find", {"op": "verifications", "id": None}),
        ("find", {"op": "group-parameters", "hash": 1}),
        ("query", {**EMPTY, "limit": 1001}),
        ("query", {**EMPTY, "limit": 0}),
        ("record", {"op": "draft", "transaction": signed, "sign": True}),
        ("verify", {"op": "signatories", "transaction": None}),
        ("verify", {"op": "filtered", "filtered": {}}),
    ]:
        refused("request-invalid", net, function, request)


def test_the_table_has_the_operations_that_are_answered_and_no_others(net):
    answered = {(f"ledger.{function}", op) for function, op in net.capability._operations}
    at_once = {(name, op) for name, ops in OPS.items() for op in ops if op is not None}
    assert answered == {
        pair for pair in at_once if OPS[pair[0]][pair[1]].effect is not Effect.PROGRAM
    }


def test_programs_perform_the_operations_that_the_table_calls_programs():
    programs = {(name, op.name) for name, ops in OPS.items() for op in ops.values()
                if op.effect is Effect.PROGRAM}  # fmt: skip
    assert PROGRAMS._calls.keys() == programs


def test_dependencies_prove_the_states_that_a_transaction_names(net):
    made = notarised(net)
    net.call(ALICE, "record", {"transaction": made})
    refs = [f"{made['id']}:{index}" for index in (0, 2)]
    builder = net.builder(
        net.output(9), inputs=refs[1:], references=refs[:1], notary=NOTARY_NAME, timeWindow=WINDOW
    )
    spend = net.call(ALICE, "build", builder)
    request = {"op": "dependencies", "id": spend["id"]}
    assert net.call(ALICE, "find", request) is None
    net.call(ALICE, "record", {"op": "draft", "transaction": spend})
    (found,) = net.call(ALICE, "find", request)
    content = seen(net, found["filtered"])
    assert content["id"] == made["id"]
    assert sorted(content["outputs"]["values"]) == ["0", "2"]


def test_a_function_writes_if_one_of_its_operations_does():
    for name, ops in OPS.items():
        writes = any(op.effect is Effect.WRITES for op in ops.values())
        assert FUNCTIONS[name].writes == writes, name


@pytest.mark.parametrize("op", ["nothing", "", 1, {}, [], True, "x" * 1000])
def test_an_operation_that_the_table_lacks_does_not_reach_the_service(op):
    class Flow:
        class checkpoint:  # as the flow's attribute
            waiting = None

    class Programs:
        class programs:  # as the services' attribute
            @staticmethod
            def begun_by(function, request):
                return None

    calls = ServiceCalls(Flow, Programs, None, None)
    with pytest.raises(CapabilityError, match=r"ledger\.find: expected an 'op' of consensual"):
        calls.perform(0, "ledger.find", {"op": op}, "")


def test_functions_without_a_table_of_operations_are_not_limited():
    assert unknown_op("persistence.write", "persist") is None
    assert unknown_op("ledger.find", None) is None
    assert "found no 'op'" in unknown_op("ledger.query", None)
