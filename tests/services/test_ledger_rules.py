"""Structural rules and component groups, on values."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.domain.instants import instant_text, is_instant
from host.domain.membership import NotaryInfo
from host.domain.x500 import MemberX500Name
from host.ledger.core.components import Group, from_groups, to_groups
from host.ledger.core.model import (
    Command,
    Notary,
    Resolved,
    State,
    StateAndRef,
    StateRef,
    TimeWindow,
    Transaction,
)
from host.ledger.core.rules import BUILDER, LEDGER_TRANSACTION, check_content, check_resolved
from host.ledger.errors import TransactionInvalidError
from tests.services.support import NOW
from tests.support.properties import examples

NOTARY = Notary(name="O=Notary, L=London, C=GB", key="notary key")
INFO = NotaryInfo(
    name=MemberX500Name.parse(NOTARY.name),
    protocol="p",
    protocol_versions=(1,),
    public_key=NOTARY.key,
    backchain_required=True,
)
WINDOW = TimeWindow(starts=None, until="2026-11-21T06:00:00.000000Z")
REFS = tuple(StateRef(f"SHA-256D:{letter * 64}", 0) for letter in "ABC")


def state(**changes):
    values = {"type": "t", "contract": "c", "value": {}, "participants": ("key",)}
    return State(**{**values, **changes})


VALID = Transaction(
    metadata={"schemaVersion": 1},
    notary=None,
    time_window=None,
    signatories=("key",),
    outputs=(state(),),
    commands=(Command(type="c", value=None),),
    inputs=(),
    references=(),
)
NOTARISED = replace(VALID, notary=NOTARY, time_window=WINDOW, outputs=(state(notary=NOTARY),))


def broken(transaction, notaries=(), subject=BUILDER):
    with pytest.raises(TransactionInvalidError) as refused:
        check_content(transaction, subject=subject, notaries=notaries)
    assert refused.value.code == "transaction-invalid"
    assert refused.value.message.startswith(f"{refused.value.rule}: ")
    return refused.value.rule


def test_valid_transactions_pass():
    check_content(VALID, subject=BUILDER, notaries=())
    check_content(NOTARISED, subject=LEDGER_TRANSACTION, notaries=(INFO,))
    check_content(replace(VALID, inputs=REFS, outputs=()), subject=BUILDER, notaries=())


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("signatories-missing", {"signatories": ()}),
        ("signatories-duplicate", {"signatories": ("key", "key")}),
        ("inputs-and-outputs-missing", {"outputs": ()}),
        ("commands-missing", {"commands": ()}),
        ("inputs-duplicate", {"inputs": REFS[:1] * 2}),
        ("references-duplicate", {"references": REFS[:1] * 2}),
        ("input-is-reference", {"inputs": REFS[:2], "references": REFS[1:]}),
        (
            "encumbrance-group-too-small",
            {"outputs": (state(encumbrance="a", encumbrance_size=1),)},
        ),
        (
            "encumbrance-group-size-wrong",
            {"outputs": (state(encumbrance="a", encumbrance_size=3),) * 2},
        ),
        ("encumbrance-group-size-wrong", {"outputs": (state(encumbrance_size=2),)}),
        ("notary-unknown", {"notary": NOTARY}),
        ("output-notary-mismatch", {"outputs": (state(notary=NOTARY),)}),
        ("time-window-malformed", {"time_window": TimeWindow(starts=None, until="now")}),
        ("time-window-malformed", {"time_window": replace(WINDOW, starts="2026-02-30")}),
        ("time-window-empty", {"time_window": replace(WINDOW, starts=WINDOW.until)}),
    ],
)
def test_each_broken_rule_has_its_identifier(rule, changes):
    assert broken(replace(VALID, **changes)) == rule


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("notary-missing", {"notary": None}),
        ("time-window-missing", {"time_window": None}),
        ("notary-unknown", {"notary": replace(NOTARY, name="O=Other, L=London, C=GB")}),
        ("notary-unknown", {"notary": replace(NOTARY, key="other key")}),
        ("output-notary-mismatch", {"outputs": (state(),)}),
    ],
)
def test_a_group_with_a_notary_insists_on_it(rule, changes):
    assert broken(replace(NOTARISED, **changes), notaries=(INFO,)) == rule


def test_messages_are_cordas():
    with pytest.raises(TransactionInvalidError) as refused:
        check_content(
            replace(VALID, inputs=REFS[:1], references=REFS[:1]), subject=BUILDER, notaries=()
        )
    assert refused.value.message.partition(": ")[2] == (
        "A state cannot be both an input and a reference input in the same transaction."
        f" Offending states: [{REFS[0]}]"
    )
    with pytest.raises(TransactionInvalidError) as refused:
        check_content(replace(VALID, commands=()), subject=LEDGER_TRANSACTION, notaries=())
    assert refused.value.message.partition(": ")[2] == (
        "At least one command must be applied to the current UtxoLedgerTransaction."
    )


def resolved(inputs=(), references=(), transaction=VALID):
    return Resolved(id="x", transaction=transaction, inputs=inputs, references=references)


def found(ref, **changes):
    return StateAndRef(ref=ref, state=state(**changes))


def spending_rule(case):
    with pytest.raises(TransactionInvalidError) as refused:
        check_resolved(case)
    return refused.value.rule


def test_inputs_and_references_share_the_transactions_notary():
    with_notary = found(REFS[0], notary=NOTARY)
    rotated = found(REFS[1], notary=replace(NOTARY, key="older key"))
    check_resolved(resolved((with_notary,), (rotated,), NOTARISED))
    assert spending_rule(resolved((with_notary,), (found(REFS[1]),))) == "input-notaries-differ"
    assert spending_rule(resolved((with_notary,))) == "input-notary-mismatch"
    assert spending_rule(resolved((found(REFS[1]),), (), NOTARISED)) == "input-notary-mismatch"


def test_encumbrance_groups_are_spent_whole():
    first, second = StateRef(REFS[0].transaction_id, 0), StateRef(REFS[0].transaction_id, 1)
    tag = {"encumbrance": "a", "encumbrance_size": 2}
    check_resolved(resolved((found(first, **tag), found(second, **tag))))
    assert spending_rule(resolved((found(first, **tag),))) == "encumbrance-not-spent-whole"
    elsewhere = (found(first, **tag), found(REFS[1], **tag))
    assert spending_rule(resolved(elsewhere)) == "encumbrance-not-spent-whole"
    check_resolved(resolved((), (found(first, **tag),)))
    beside = StateRef(REFS[1].transaction_id, 0), StateRef(REFS[1].transaction_id, 1)
    both = tuple(found(ref, **tag) for ref in (first, second, *beside))
    check_resolved(resolved(both))
    assert spending_rule(resolved(both[:3])) == "encumbrance-not-spent-whole"
    check_resolved(resolved((found(first), found(second))))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SHA-256D:" + "A" * 64,
        "SHA-256D:" + "a" * 64 + ":0",
        "SHA-256:" + "A" * 64 + ":0",
        "SHA-256D:" + "A" * 64 + ":00",
        "SHA-256D:" + "A" * 64 + ":-1",
        "SHA-256D:" + "A" * 64 + ":9999999999",
        "SHA-256D:" + "A" * 64 + ":0\n",
    ],
)
def test_state_references_have_one_spelling(text):
    with pytest.raises(TransactionInvalidError, match="state-ref-malformed"):
        StateRef.parse(text)


def test_state_references_read_back():
    assert StateRef.parse(str(REFS[0])) == REFS[0]


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=10)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
STATES = st.builds(
    State,
    type=TEXT,
    contract=TEXT,
    value=JSON,
    participants=st.lists(TEXT, max_size=3).map(tuple),
    encumbrance=st.none() | TEXT,
    encumbrance_size=st.none() | st.integers(1, 9),
    notary=st.none() | st.just(NOTARY),
)
SOME_REFS = st.lists(st.sampled_from(REFS), max_size=3).map(tuple)
TRANSACTIONS = st.builds(
    Transaction,
    metadata=st.dictionaries(TEXT, JSON, max_size=3),
    notary=st.none() | st.just(NOTARY),
    time_window=st.none() | st.just(WINDOW),
    signatories=st.lists(TEXT, max_size=3).map(tuple),
    outputs=st.lists(STATES, max_size=3).map(tuple),
    commands=st.lists(st.builds(Command, type=TEXT, value=JSON), max_size=3).map(tuple),
    inputs=SOME_REFS,
    references=SOME_REFS,
)


@pytest.mark.property
@settings(max_examples=examples(60), deadline=None)
@given(TRANSACTIONS)
def test_component_groups_hold_the_whole_content(transaction):
    assert from_groups(to_groups(transaction)) == transaction


def with_group(group, leaves):
    groups = list(to_groups(NOTARISED))
    groups[group] = tuple(leaves)
    return tuple(groups)


@pytest.mark.parametrize(
    ("group", "leaves"),
    [
        (Group.METADATA, []),
        (Group.METADATA, ["[]"]),
        (Group.METADATA, ["{}", "{}"]),
        (Group.METADATA, ['{"a":1,"a":1}']),
        (Group.METADATA, ['{"b":1,"a":1}']),
        (Group.METADATA, ['{"a":NaN}']),
        (Group.METADATA, ['{"a":1.0}']),
        (Group.METADATA, ["["]),
        (Group.METADATA, ["[" * 100_000]),
        (Group.NOTARY, ["null", "null", "null"]),
        (Group.NOTARY, ['"n"', "null", "null"]),
        (Group.NOTARY, ['"n"']),
        (Group.NOTARY, ["null", '"k"', "null"]),
        (Group.SIGNATORIES, ["1"]),
        (Group.OUTPUTS, []),
        (Group.OUTPUTS, ['{"participants":[],"value":1,"more":1}']),
        (Group.OUTPUTS, ['{"participants":"key","value":1}']),
        (Group.OUTPUTS_INFO, ["{}"]),
        (Group.COMMANDS_INFO, []),
        (Group.UNUSED, ["{}"]),
        (Group.INPUTS, ["{}"]),
    ],
)
def test_only_the_canonical_form_is_read(group, leaves):
    with pytest.raises(TransactionInvalidError) as refused:
        from_groups(with_group(group, leaves))
    assert refused.value.rule == "components-malformed"


def test_there_are_ten_groups_of_limited_size():
    groups = to_groups(VALID)
    for wrong in (groups[:9], (*groups, ())):
        with pytest.raises(TransactionInvalidError, match="10 component groups"):
            from_groups(wrong)
    for leaves in (['"x"'] * 1001, [f'"{"x" * 1024 * 1024}"'], [f'"{"x" * 900_000}"'] * 3):
        with pytest.raises(TransactionInvalidError, match="transaction-too-large"):
            from_groups(with_group(Group.SIGNATORIES, leaves))


def test_instants():
    assert instant_text(NOW) == "2025-11-21T04:40:00.000000Z"
    assert instant_text(NOW + 7) == "2025-11-21T04:40:00.007000Z"
    assert is_instant(instant_text(NOW))
    for wrong in ("", "2025-11-21T04:40:00Z", "2025-13-21T04:40:00.000000Z", "x" * 27):
        assert not is_instant(wrong)
