"""The `ledger` capability between two nodes."""

import base64
import copy
import json
import threading

import pytest

from host.database.query_time import QUERY_SECONDS_MAX
from host.domain.capability_error import CapabilityError
from host.domain.platform import PLATFORM_VERSION
from host.ledger.core.metadata import check_metadata, make_metadata
from host.ledger.core.signed import signable
from host.ports.directory import UNDECIDED, Judged
from host.ports.keys import KeyCategory
from tests.services.ledger_support import ALL_NODES, EC, IOU, NOTARY_NAME, other_contract_cpk
from tests.services.support import ALICE, BOB, cpi, holding

WINDOW = {"from": None, "until": "2026-11-21T06:00:00.000000Z"}
UNKNOWN = f"SHA-256D:{'0' * 64}:0"


def refused(code, net, name, function, request, **kwargs):
    with pytest.raises(CapabilityError) as error:
        net.call(name, function, request, **kwargs)
    assert (error.value.code, error.value.message) == (code, error.value.message)
    return error.value.message


def agreed(net, builder, *, other=BOB, first=ALICE):
    """`first` builds, `other` verifies and signs; gives the fully signed transaction."""
    signed = net.call(first, "build", builder)
    answer = net.call(other, "verify", {"transaction": signed, "sign": True})
    return {**signed, "signatures": signed["signatures"] + answer["signatures"]}


def test_issue_agree_record_and_settle(net):
    signed = agreed(net, net.builder(net.output(5), signatories=(ALICE, BOB)))
    for name in (ALICE, BOB):
        answer = net.call(name, "record", {"transaction": signed})
        assert answer == {"id": signed["id"], "visible": [0]}
        assert net.call(name, "find", {"id": signed["id"]}) == signed
    ref = f"{signed['id']}:0"
    state = {"stateRef": ref, "state": net.output(5)}
    assert net.unconsumed(BOB) == {"results": [state], "next": None}
    settle = agreed(
        net,
        net.builder(net.output(2), inputs=[ref], signatories=(ALICE, BOB)),
        first=BOB,
        other=ALICE,
    )
    for name in (ALICE, BOB):
        net.call(name, "record", {"transaction": settle})
        (left,) = net.unconsumed(name)["results"]
        assert left["state"]["value"] == {"amount": 2}
        assert net.call(name, "find", {"stateRefs": [ref]}) == [state]


def test_contracts_see_the_resolved_transaction(net):
    (ref,) = net.issue(5)
    signed = net.call(ALICE, "build", net.builder(net.output(3), inputs=[ref]))
    seen = net.contracts.seen[-1]
    assert seen == net.call(BOB, "verify", {"transaction": signed, "sign": False})["transaction"]
    assert seen["id"] == signed["id"]
    assert seen["inputs"] == [{"stateRef": ref, "state": net.output(5)}]
    assert seen["outputs"] == [net.output(3)]
    assert seen["commands"] == [{"type": "iou.Issue", "value": {}}]
    assert seen["signatories"] == [net.keys[ALICE]]
    assert seen["metadata"]["cpkMetadata"] == [
        {
            "name": "iou-contract",
            "version": "1.0.0",
            "signerSummaryHash": net.cpi.cpks[0].identity.signer_summary_hash,
            "fileChecksum": net.cpi.cpks[0].file_checksum,
        }
    ]
    assert (seen["notary"], seen["timeWindow"], seen["references"]) == (None, None, [])


def test_contracts_see_the_same_numbers_wherever_they_run(net):
    signed = net.call(ALICE, "build", net.builder(net.output(5.0)))
    built = net.contracts.seen[-1]
    verified = net.call(BOB, "verify", {"transaction": signed, "sign": False})["transaction"]
    assert json.dumps(built) == json.dumps(verified)


def test_too_many_bytes_of_states_are_refused_at_once(net):
    large = [net.output(1, ALL_NODES, value={"amount": 1, "text": "x" * 300_000}) for _ in range(4)]
    signed = net.call(ALICE, "build", net.builder(*large))
    net.call(ALICE, "record", {"transaction": signed})
    refs = [f"{signed['id']}:{index}" for index in range(4)]
    refused("states-too-large", net, ALICE, "find", {"stateRefs": refs})
    refused("states-too-large", net, ALICE, "build", net.builder(inputs=refs))
    page = net.unconsumed(ALICE)
    assert (len(page["results"]), page["next"] is None) == (3, False)


def test_the_same_call_builds_the_same_transaction(net):
    builder = net.builder(net.output(5))
    first = net.call(ALICE, "build", builder, number=50)
    again = net.call(ALICE, "build", builder, number=50)
    other = net.call(ALICE, "build", builder, number=51)
    assert (first["id"], first["privacySalt"]) == (again["id"], again["privacySalt"])
    assert other["id"] != first["id"]


def test_a_contract_that_refuses_refuses_everywhere(net):
    message = refused(
        "contract-verification-failed", net, ALICE, "build", net.builder(net.output(-5))
    )
    assert message == "amount must be positive"
    signed = net.call(ALICE, "build", net.builder(net.output(5)))
    net.contracts.verify = lambda *_, **_node: Judged(failures=({"message": "no longer"},))
    for function, extra in (("verify", {"sign": True}), ("record", {})):
        refused(
            "contract-verification-failed", net, BOB, function, {"transaction": signed, **extra}
        )
    assert net.unconsumed(BOB)["results"] == []


def test_a_contract_that_could_not_judge_has_not_refused(net):
    signed = net.call(ALICE, "build", net.builder(net.output(5)))
    ended = {"type": "memory-limit", "message": "the guest needs more memory", UNDECIDED: True}
    net.contracts.verify = lambda *_, **_node: Judged(failures=(ended,))
    for function, extra in (("verify", {"sign": True}), ("record", {})):
        refused("contract-undecided", net, BOB, function, {"transaction": signed, **extra})
    forged = {"type": "memory-limit", "message": "as a contract may say itself"}
    net.contracts.verify = lambda *_, **_node: Judged(failures=(ended, forged))
    refused("contract-verification-failed", net, BOB, "record", {"transaction": signed})


def test_a_page_of_states_that_are_not_there_ends_within_its_time(net):
    net.issue(*range(1, 900))
    passed = iter(range(10_000))
    finding = net.capability._operations["query", "unconsumed"].__self__
    finding._monotonic = lambda: next(passed) * QUERY_SECONDS_MAX / 20
    request = {"op": "unconsumed", "type": IOU, "limit": 1, "after": None}
    request["createdBefore"] = "2020-01-01T00:00:00.000000Z"
    refused("query-too-slow", net, ALICE, "query", request)
    assert next(passed) <= 1.2 * 20 + 2


def test_rules_of_a_newer_platform_version_are_not_guessed(net):
    metadata = make_metadata(net.cpi, "a hash")
    check_metadata({**metadata, "platformVersion": PLATFORM_VERSION - 1})
    for version in (PLATFORM_VERSION + 1, 10**400, True, "50200"):
        with pytest.raises(CapabilityError, match=r"metadata-invalid: .*platformVersion"):
            check_metadata({**metadata, "platformVersion": version})


def test_recording_needs_every_signature(net):
    signed = net.call(ALICE, "build", net.builder(net.output(5), signatories=(ALICE, BOB)))
    for name in (ALICE, BOB):
        refused("signature-missing", net, name, "record", {"transaction": signed})
    assert net.call(ALICE, "find", {"id": signed["id"]}) is None


@pytest.mark.parametrize("category", [KeyCategory.TLS, KeyCategory.SESSION_INIT])
def test_no_flow_has_a_transaction_signed_by_a_key_that_speaks_for_the_host(net, category):
    key = net.store.create(holding(ALICE).short_hash, category, "host", EC).public_key
    alone = net.builder(net.output(5), signatories=(key,))
    refused("signature-missing", net, ALICE, "build", alone)
    both = net.call(ALICE, "build", net.builder(net.output(5), signatories=(ALICE, key)))
    assert [signature["key"] for signature in both["signatures"]] == [net.keys[ALICE]]


def test_a_node_that_holds_no_signatory_key_cannot_build(net):
    refused(
        "signature-missing", net, ALICE, "build", net.builder(net.output(5), signatories=(BOB,))
    )


def test_a_state_is_consumed_once(net):
    (ref,) = net.issue(5)
    first = net.call(ALICE, "build", net.builder(net.output(1), inputs=[ref]))
    second = net.call(ALICE, "build", net.builder(net.output(2), inputs=[ref]))
    net.call(BOB, "record", {"transaction": first})
    message = refused("state-consumed", net, BOB, "record", {"transaction": second})
    assert ref in message
    assert first["id"] in message
    refused("state-consumed", net, BOB, "verify", {"transaction": second, "sign": True})
    assert [s["state"]["value"]["amount"] for s in net.unconsumed(BOB)["results"]] == [1]
    net.call(BOB, "verify", {"transaction": first, "sign": False})


def test_a_reference_must_be_unconsumed(net):
    (ref,) = net.issue(5)
    reading = net.call(ALICE, "build", net.builder(net.output(1), references=[ref]))
    spending = net.call(ALICE, "build", net.builder(net.output(2), inputs=[ref]))
    net.call(BOB, "record", {"transaction": spending})
    refused("state-consumed", net, BOB, "record", {"transaction": reading})
    net.call(ALICE, "record", {"transaction": reading})
    assert len(net.unconsumed(ALICE)["results"]) == 2


def test_states_that_a_node_does_not_know_are_refused(net):
    (ref,) = net.issue(5, at=(ALICE,))
    signed = net.call(ALICE, "build", net.builder(net.output(1), inputs=[ref]))
    for function, extra in (("verify", {"sign": True}), ("record", {})):
        message = refused("state-not-found", net, BOB, function, {"transaction": signed, **extra})
        assert ref in message
    refused("state-not-found", net, ALICE, "build", net.builder(inputs=[UNKNOWN]))
    refused("state-not-found", net, ALICE, "find", {"stateRefs": [ref, UNKNOWN]})
    refused("state-not-found", net, BOB, "find", {"stateRefs": [ref]})


def test_recording_twice_is_a_no_op_with_the_same_answer(net):
    (ref,) = net.issue(5)
    signed = net.call(ALICE, "build", net.builder(net.output(1), inputs=[ref]))
    request = {"transaction": signed}
    first = net.call(BOB, "record", request, number=70)
    assert net.call(BOB, "record", request, number=70) == first
    assert net.call(BOB, "record", request, number=71) == first
    after = net.call(ALICE, "record", request)
    spent = net.call(ALICE, "build", net.builder(inputs=[f"{signed['id']}:0"]))
    net.call(BOB, "record", {"transaction": spent})
    assert net.call(BOB, "record", request, number=70) == first == after
    assert net.call(BOB, "record", request, number=72) == first
    assert net.unconsumed(BOB)["results"] == []


def test_a_reference_spent_later_does_not_undo_a_recorded_transaction(net):
    (ref,) = net.issue(5)
    reading = net.call(ALICE, "build", net.builder(net.output(1), references=[ref]))
    first = net.call(BOB, "record", {"transaction": reading})
    spending = net.call(ALICE, "build", net.builder(net.output(2), inputs=[ref]))
    net.call(BOB, "record", {"transaction": spending})
    assert net.call(BOB, "record", {"transaction": reading}) == first


def test_only_outputs_of_own_participants_are_visible(net):
    outputs = [net.output(1, (ALICE,)), net.output(2, (BOB,)), net.output(3)]
    signed = net.call(ALICE, "build", net.builder(*outputs))
    request = {"transaction": signed}
    assert net.call(ALICE, "record", request)["visible"] == [0, 2]
    assert net.call(BOB, "record", request)["visible"] == [1, 2]
    assert [s["state"]["value"]["amount"] for s in net.unconsumed(BOB)["results"]] == [2, 3]
    hidden = net.call(BOB, "find", {"stateRefs": [f"{signed['id']}:0"]})
    assert hidden[0]["state"]["value"] == {"amount": 1}


def test_queries_page_oldest_first(net):
    for amount in (3, 1, 2):
        net.issue(amount)
    first = net.unconsumed(BOB, limit=2)
    assert [s["state"]["value"]["amount"] for s in first["results"]] == [3, 1]
    last = net.unconsumed(BOB, after=first["next"], limit=2)
    assert [s["state"]["value"]["amount"] for s in last["results"]] == [2]
    assert last["next"] is None


def test_vaults_are_separate(net, tmp_path):
    (ref,) = net.issue(5, at=(ALICE,))
    transaction = ref.rpartition(":")[0]
    assert net.call(BOB, "find", {"id": transaction}) is None
    assert net.unconsumed(BOB)["results"] == []
    folder = tmp_path / "vnodes" / holding(BOB).short_hash
    written = b"".join(file.read_bytes() for file in folder.iterdir())
    assert transaction.encode() not in written


def test_code_that_this_node_does_not_run_is_refused(net):
    net.cpi = cpi(cpks=(*cpi().cpks, other_contract_cpk()))
    signed = net.call(ALICE, "build", net.builder(net.output(5)))
    for function, extra in (("verify", {"sign": True}), ("record", {})):
        message = refused(
            "cpk-unknown",
            net,
            BOB,
            function,
            {"transaction": signed, **extra},
            record=cpi(),
        )
        assert "other-contract" in message


def test_a_cpi_without_contracts_makes_no_transactions(net):
    empty = cpi(cpks=cpi().cpks[1:])
    message = refused(
        "transaction-invalid", net, ALICE, "build", net.builder(net.output(5)), record=empty
    )
    assert message.startswith("contract-cpks-missing")


def replaced(signed, path, value):
    changed = copy.deepcopy(signed)
    target = changed
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return changed


def component(signed, group, leaf, change):
    """`signed` with one component changed by `change`, re-encoded canonically."""
    content = json.loads(signed["componentGroups"][group][leaf])
    text = json.dumps(change(content), sort_keys=True, separators=(",", ":"))
    return replaced(signed, ("componentGroups", group, leaf), text)


def other_text(text):
    return ("B" if text[0] == "A" else "A") + text[1:]


TAMPERED = {
    "id": lambda s, net: {**s, "id": s["id"][:-1] + ("0" if s["id"][-1] != "0" else "1")},
    "salt": lambda s, net: {**s, "privacySalt": base64.b64encode(b"x" * 40).decode()},
    "amount": lambda s, net: component(s, 8, 0, lambda o: {**o, "value": {"amount": 9}}),
    "participants": lambda s, net: component(
        s, 8, 0, lambda o: {**o, "participants": [net.keys[BOB]]}
    ),
    "state-type": lambda s, net: component(s, 3, 0, lambda o: {**o, "contractStateTag": "x"}),
    "contract": lambda s, net: component(s, 3, 0, lambda o: {**o, "contractTag": "x"}),
    "encumbrance": lambda s, net: component(s, 3, 0, lambda o: {**o, "encumbrance": "x"}),
    "command-type": lambda s, net: component(s, 4, 0, lambda o: "iou.Other"),
    "command-value": lambda s, net: component(s, 9, 0, lambda o: {"a": 1}),
    "input": lambda s, net: component(s, 6, 0, lambda o: UNKNOWN),
    "signatories": lambda s, net: component(s, 2, 0, lambda o: net.keys[BOB]),
    "metadata": lambda s, net: component(s, 0, 0, lambda o: {**o, "platformVersion": 1}),
    "ledger-version": lambda s, net: component(s, 0, 0, lambda o: {**o, "ledgerVersion": True}),
    "digest": lambda s, net: component(
        s,
        0,
        0,
        lambda o: {
            **o,
            "digestSettings": {**o["digestSettings"], "rootMerkleTreeDigestAlgorithmName": "SHA-1"},
        },
    ),
    "cpi": lambda s, net: component(s, 0, 0, lambda o: {**o, "cpiMetadata": {}}),
    "no-cpks": lambda s, net: component(s, 0, 0, lambda o: {**o, "cpkMetadata": []}),
    "more-metadata": lambda s, net: component(s, 0, 0, lambda o: {**o, "more": 1}),
    "added-output": lambda s, net: replaced(s, ("componentGroups", 8), s["componentGroups"][8] * 2),
    "moved-leaf": lambda s, net: replaced(
        replaced(s, ("componentGroups", 7), s["componentGroups"][6]), ("componentGroups", 6), []
    ),
    "white-space": lambda s, net: replaced(
        s, ("componentGroups", 9, 0), s["componentGroups"][9][0] + " "
    ),
    "unused": lambda s, net: replaced(s, ("componentGroups", 5), ["1"]),
    "by": lambda s, net: replaced(s, ("signatures", 0, "by"), "0" * 12),
    "key": lambda s, net: replaced(s, ("signatures", 0, "key"), net.keys[BOB]),
    "signature": lambda s, net: replaced(
        s,
        ("signatures", 0, "signature"),
        s["signatures"][0]["signature"][:20] + other_text(s["signatures"][0]["signature"][20:]),
    ),
    "timestamp": lambda s, net: replaced(
        s, ("signatures", 0, "metadata", "timestamp"), "2020-01-01T00:00:00.000000Z"
    ),
    "spec": lambda s, net: replaced(
        s, ("signatures", 0, "metadata", "signatureSpec"), "SHA512withECDSA"
    ),
    "foreign-spec": lambda s, net: replaced(
        s, ("signatures", 0, "metadata", "signatureSpec"), "EdDSA"
    ),
    "properties": lambda s, net: replaced(
        s, ("signatures", 0, "metadata", "properties", "cpiName"), "other"
    ),
    "signature-twice": lambda s, net: {**s, "signatures": s["signatures"] * 2},
    "signature-dropped": lambda s, net: {**s, "signatures": []},
}


@pytest.mark.parametrize("field", TAMPERED)
def test_a_changed_transaction_is_refused_and_nothing_recorded(net, field):
    (ref,) = net.issue(5)
    signed = net.call(ALICE, "build", net.builder(net.output(3), inputs=[ref]))
    tampered = TAMPERED[field](signed, net)
    assert tampered != signed
    with pytest.raises(CapabilityError) as error:
        net.call(BOB, "record", {"transaction": tampered})
    assert error.value.code in {"transaction-invalid", "signature-invalid", "signature-missing"}
    assert [s["stateRef"] for s in net.unconsumed(BOB)["results"]] == [ref]
    net.call(BOB, "record", {"transaction": signed})


def reidentified(net, signed):
    """What a cheat sends: changed components under their right identifier, signed again."""
    from host.ledger.core.signed import unsigned

    groups = tuple(tuple(group) for group in signed["componentGroups"])
    honest = unsigned(base64.b64decode(signed["privacySalt"]), groups)
    template = signed["signatures"][0]
    data = signable(honest.id, template["metadata"])
    raw = net.store.sign(holding(ALICE).short_hash, net.keys[ALICE], data, "SHA256withECDSA")
    signature = {**template, "signature": base64.b64encode(raw).decode()}
    return {**signed, "id": honest.id, "signatures": [signature]}


@pytest.mark.parametrize(
    ("field", "rule"),
    [
        ("amount", None),
        ("ledger-version", "metadata-invalid"),
        ("digest", "metadata-invalid"),
        ("cpi", "metadata-invalid"),
        ("no-cpks", "metadata-invalid"),
        ("more-metadata", "metadata-invalid"),
        ("state-type", "state-type-undeclared"),
        ("contract", "state-type-undeclared"),
        ("encumbrance", "encumbrance-group-too-small"),
        ("signatories", "signature-invalid"),
        ("added-output", "components-malformed"),
        ("white-space", "components-malformed"),
        ("unused", "components-malformed"),
    ],
)
def test_a_cheating_signatory_cannot_break_the_rules(net, field, rule):
    (ref,) = net.issue(5)
    signed = net.call(ALICE, "build", net.builder(net.output(3), inputs=[ref]))
    cheat = reidentified(net, TAMPERED[field](signed, net))
    if rule is None:
        net.call(BOB, "record", {"transaction": cheat})
        return
    with pytest.raises(CapabilityError) as error:
        net.call(BOB, "record", {"transaction": cheat})
    assert rule in {error.value.code, error.value.message.partition(":")[0]}


def test_keys_in_other_spellings_are_one_key(net):
    spelled = net.keys[ALICE].replace("\n", "\r\n")
    builder = {
        **net.builder(net.output(5, participants=[spelled])),
        "signatories": [spelled, net.keys[ALICE]],
    }
    signed = net.call(ALICE, "build", builder)
    assert len(signed["signatures"]) == 1
    assert net.call(ALICE, "record", {"transaction": signed})["visible"] == [0]
    odd = reidentified(net, component(signed, 2, 0, lambda key: key.rstrip()))
    with pytest.raises(CapabilityError) as error:
        net.call(BOB, "record", {"transaction": odd})
    assert error.value.message.startswith("key-not-canonical")


def test_a_group_with_a_notary_needs_notary_and_time_window(net):
    key = net.new_key(BOB, "notary")
    net.group.add_notary(key)
    with_both = {"notary": "C=GB,L=London,O=Notary", "timeWindow": WINDOW}
    for missing in with_both:
        message = refused(
            "transaction-invalid",
            net,
            ALICE,
            "build",
            net.builder(net.output(5), **{**with_both, missing: None}),
        )
        assert message.endswith("of the current transaction builder must not be null.")
    signed = net.call(ALICE, "build", net.builder(net.output(5), **with_both))
    verified = net.call(BOB, "verify", {"transaction": signed, "sign": False})["transaction"]
    assert verified["notary"] == {"name": NOTARY_NAME, "key": net.group.notaries[0].public_key}
    assert verified["timeWindow"] == WINDOW
    message = refused("notary-required", net, BOB, "record", {"transaction": signed})
    assert NOTARY_NAME in message
    assert net.unconsumed(BOB)["results"] == []
    other = net.notarised(signed, net.keys[BOB])
    refused("signature-invalid", net, BOB, "record", {"transaction": other})
    net.call(BOB, "record", {"transaction": net.notarised(signed, key)})


def test_a_notary_that_the_group_does_not_have_is_refused(net):
    net.group.add_notary(net.new_key(BOB, "notary"))
    builder = net.builder(net.output(5), notary="O=Other, L=London, C=GB", timeWindow=WINDOW)
    assert "O=Other" in refused("transaction-invalid", net, ALICE, "build", builder)
    honest = {**builder, "notary": NOTARY_NAME}
    named = net.group.current
    signed = net.call(ALICE, "build", honest)
    net.group.notaries = ()
    net.group.add_notary(net.new_key(BOB, "another"))
    net.group.versions[named] = net.group.versions[net.group.current]
    message = refused("transaction-invalid", net, BOB, "record", {"transaction": signed})
    assert message.startswith("notary-unknown")


def test_a_transaction_is_judged_by_the_group_parameters_that_it_names(net):
    """Not by the newest: the notary that it has may have left the group since."""
    key = net.new_key(BOB, "notary")
    net.group.add_notary(key)
    named = net.group.current
    builder = net.builder(net.output(5), notary=NOTARY_NAME, timeWindow=WINDOW)
    signed = net.notarised(net.call(ALICE, "build", builder), key)
    net.group.notaries = ()
    net.group.add_notary(net.new_key(BOB, "another"), name="O=Another, L=London, C=GB")
    assert "O=Notary" in refused("transaction-invalid", net, ALICE, "build", builder)
    kept = net.group.versions.pop(named)
    message = refused("group-parameters-unknown", net, BOB, "record", {"transaction": signed})
    assert named in message
    net.group.versions[named] = kept
    assert net.call(BOB, "record", {"transaction": signed})["id"] == signed["id"]


def test_encumbered_states_are_spent_together(net):
    tagged = [net.output(n, encumbrance="lock") for n in (1, 2)]
    signed = net.call(ALICE, "build", net.builder(*tagged, net.output(3)))
    net.call(ALICE, "record", {"transaction": signed})
    refs = [f"{signed['id']}:{index}" for index in range(2)]
    message = refused("transaction-invalid", net, ALICE, "build", net.builder(inputs=refs[:1]))
    assert "only 1 states out of 2 encumbered states" in message
    net.call(ALICE, "build", net.builder(inputs=refs))


def test_two_threads_that_spend_one_state_agree_on_one_winner(net):
    (ref,) = net.issue(5)
    rivals = [
        net.call(ALICE, "build", net.builder(net.output(n), inputs=[ref])) for n in range(1, 5)
    ]
    outcomes = []

    def record(signed):
        try:
            outcomes.append(net.call(BOB, "record", {"transaction": signed})["id"])
        except CapabilityError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=record, args=(signed,)) for signed in rivals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes)[:1] != ["state-consumed"]
    assert outcomes.count("state-consumed") == 3
    (left,) = net.unconsumed(BOB)["results"]
    assert left["stateRef"].rpartition(":")[0] in outcomes


def test_signing_on_request_gives_the_signatures_of_this_node_only(net):
    signed = net.call(ALICE, "build", net.builder(net.output(5), signatories=(ALICE, BOB)))
    (signature,) = net.call(BOB, "verify", {"transaction": signed, "sign": True})["signatures"]
    assert signature["key"] == net.keys[BOB]
    assert signature["metadata"]["properties"]["cpiName"] == "iou"
    silent = net.call(BOB, "verify", {"transaction": signed, "sign": False})
    assert silent["signatures"] == []


MALFORMED = [
    ("build", {}),
    ("build", {"extra": 1}),
    ("find", {}),
    ("find", {"id": "x"}),
    ("find", {"id": f"SHA-256D:{'a' * 64}"}),
    ("query", {"op": "unconsumed", "type": "x", "offset": 0, "limit": 1}),
    ("verify", {"transaction": {}, "sign": 1}),
    ("record", {"transaction": None}),
    ("record", {"transaction": {"id": "x"}}),
    ("drop", {}),
]


@pytest.mark.parametrize(("function", "request_"), MALFORMED)
def test_malformed_requests_are_refused(net, function, request_):
    refused("request-invalid", net, ALICE, function, request_)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"signatories": ["no key"]}, "public-key-invalid"),
        ({"notary": "no name"}, "x500-name-invalid"),
        ({"inputs": ["no ref"]}, "transaction-invalid"),
        ({"commands": [{"type": "c", "value": 2**53}]}, "request-invalid"),
        ({"commands": [{"type": "c", "value": 1e17}]}, "request-invalid"),
        ({"commands": [{"type": "c", "value": "\ud800"}]}, "request-invalid"),
        ({"commands": [{"type": "c", "value": "x" * (1 << 20)}]}, "transaction-invalid"),
        ({"outputs": [{}]}, "request-invalid"),
        ({"timeWindow": {"from": None, "until": None}}, "request-invalid"),
        ({"timeWindow": {"from": None, "until": "tomorrow"}}, "transaction-invalid"),
    ],
)
def test_malformed_builders_are_refused(net, changes, code):
    refused(code, net, ALICE, "build", net.builder(net.output(5), **changes))


def test_every_key_scheme_can_sign_a_transaction(net):
    from host.keys import SCHEMES
    from host.ports.keys import KeyCategory

    tenant = holding(ALICE).short_hash
    for scheme in SCHEMES:
        if scheme != EC:
            key = net.store.create(tenant, KeyCategory.LEDGER, scheme, scheme).public_key
            signed = net.call(ALICE, "build", {**net.builder(net.output(5)), "signatories": [key]})
            net.call(BOB, "record", {"transaction": signed})


def test_the_same_call_made_twice_at_once_is_done_once(net, monkeypatch):
    """The former owner of a flow may still be at a call when the new one repeats it."""
    signed = net.call(ALICE, "build", net.builder(net.output(5)))
    verify, answers = net.contracts.verify, []

    def meanwhile(*args, **kwargs):
        monkeypatch.setattr(net.contracts, "verify", verify)
        answers.append(net.call(BOB, "record", {"transaction": signed}, number=77))
        return verify(*args, **kwargs)

    monkeypatch.setattr(net.contracts, "verify", meanwhile)
    answers.append(net.call(BOB, "record", {"transaction": signed}, number=77))
    assert answers == [{"id": signed["id"], "visible": [0]}] * 2
    assert len(net.unconsumed(BOB)["results"]) == 1
