"""Filtered transactions: what is shown belongs to the identifier, and nothing else passes.

Corda's `FilteredTransactionImplTest`: docs/reference/corda-test-lists.md.
"""

import copy
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.domain.capability_error import CapabilityError
from host.ledger.core.components import Group, from_groups
from host.ledger.core.filtered import (
    Counted,
    FilteredTransaction,
    Shown,
    check_proofs,
    filter_transaction,
)
from host.ledger.core.filtered_content import filtered_content
from host.ledger.core.filtered_json import filtered_json, read_filtered
from host.ledger.errors import FilteredInvalidError
from tests.ledger.transactions import NOTARY, WINDOW, identifier, ref, transaction

SIGNED = transaction(
    inputs=[ref(1), ref(2, 3)], references=[ref(4)], outputs=5, signatories=3, commands=2
)
WHOLE = {
    group: range(len(leaves)) for group, leaves in zip(Group, SIGNED.groups, strict=True) if leaves
}
FOR_NOTARY = {
    Group.NOTARY: range(3),
    Group.INPUTS: range(2),
    Group.REFERENCES: range(1),
    Group.OUTPUTS: None,
}


def refused(filtered, message):
    with pytest.raises(FilteredInvalidError, match=message) as error:
        check_proofs(filtered)
    assert error.value.code == "filtered-invalid"


def changed(filtered, of, **fields):
    """The same, with the part of one group changed."""
    parts = tuple(replace(p, **fields) if p.group is of else p for p in filtered.parts)
    return replace(filtered, parts=parts)


def through_json(filtered):
    return read_filtered(json.loads(json.dumps(filtered_json(filtered))))


@st.composite
def selections(draw):
    groups = draw(st.sets(st.sampled_from(list(Group))))
    indexes = st.none() | st.sets(st.integers(0, 6))
    return {group: draw(indexes) for group in groups}


@given(selections())
def test_any_selection_is_proved_and_read_again(selection):
    filtered = filter_transaction(SIGNED, selection)
    check_proofs(filtered)
    assert through_json(filtered) == filtered
    for group, indexes in selection.items():
        part = filtered.part(group)
        if isinstance(part, Shown) and group is not Group.METADATA:
            there = dict(enumerate(SIGNED.groups[group]))
            assert part.values() == {i: there[i] for i in indexes or () if i in there}
        assert part.count() == len(SIGNED.groups[group])


@given(selections(), st.data())
def test_no_text_of_the_json_can_be_changed(selection, data):
    """One character of any text or number of the form is changed: refused, or another content."""
    before = filtered_json(filter_transaction(SIGNED, selection))
    after = json.loads(json.dumps(before))
    holder, key = data.draw(st.sampled_from(list(_places(after))))
    value = holder[key]
    holder[key] = value + 1 if isinstance(value, int) else _other(value, data.draw(st.integers(0)))
    with pytest.raises(CapabilityError):
        read_filtered(after)


def _places(value):
    """Holders and keys of all texts and numbers, but sizes of groups that are not shown whole."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        if key == "size" and len(value.get("leaves", ())) < inner and "leaves" in value:
            continue
        if isinstance(inner, dict | list):
            yield from _places(inner)
        else:
            yield value, key


def _other(text, place):
    if not text:
        return "x"
    place %= len(text)
    return text[:place] + ("B" if text[place] != "B" else "C") + text[place + 1 :]


def test_the_notary_sees_what_it_needs_and_no_more():
    filtered = filter_transaction(SIGNED, FOR_NOTARY)
    content = filtered_content(through_json(filtered))
    assert (content.notary, content.time_window) == (NOTARY, WINDOW)
    assert content.inputs.values == {0: ref(1), 1: ref(2, 3)}
    assert content.inputs.is_whole()
    assert content.references.values == {0: ref(4)}
    assert (content.outputs.size, content.outputs.values) == (5, None)
    assert (content.signatories, content.commands) == (None, None)
    assert content.metadata["ledgerModel"] == "utxo"
    text = json.dumps(filtered_json(filtered))
    assert "amount" not in text
    assert "iou" not in text


def test_a_number_alone_is_told():
    content = filtered_content(filter_transaction(SIGNED, {Group.SIGNATORIES: None}))
    assert (content.signatories.size, content.signatories.values) == (3, None)
    assert not content.signatories.is_whole()


def test_the_whole_content_is_the_transactions():
    content = filtered_content(filter_transaction(SIGNED, WHOLE))
    there = from_groups(SIGNED.groups)
    assert tuple(content.outputs.values.values()) == there.outputs
    assert tuple(content.commands.values.values()) == there.commands
    assert tuple(content.signatories.values.values()) == there.signatories


def test_some_outputs_are_shown_with_their_types():
    keep = {Group.OUTPUTS_INFO: [3], Group.OUTPUTS: [3]}
    content = filtered_content(filter_transaction(SIGNED, keep))
    (shown,) = content.outputs.values.items()
    assert (shown[0], shown[1].value) == (3, {"amount": 3})
    assert not content.outputs.is_whole()


@pytest.mark.parametrize("info", [[], [2], [3, 4]])
def test_a_state_without_its_type_is_refused(info):
    keep = {Group.OUTPUTS_INFO: info, Group.OUTPUTS: [3]}
    with pytest.raises(FilteredInvalidError, match="show different components"):
        filtered_content(filter_transaction(SIGNED, keep))


def test_a_transaction_without_notary_shows_that_it_has_none():
    signed = transaction(notary=None, window=None)
    content = filtered_content(filter_transaction(signed, {Group.NOTARY: range(3)}))
    assert content.is_notary_shown
    assert content.is_window_shown
    assert (content.notary, content.time_window) == (None, None)
    hidden = filtered_content(filter_transaction(signed, {}))
    assert not hidden.is_notary_shown
    assert not hidden.is_window_shown


@pytest.mark.parametrize("indexes", [None, [0], [7]])
def test_an_empty_group_is_shown_as_empty(indexes):
    filtered = filter_transaction(transaction(), {Group.INPUTS: indexes})
    check_proofs(filtered)
    content = filtered_content(through_json(filtered))
    assert (content.inputs.size, content.inputs.values) == (0, {})


# Corda's list, each with the part of it that is forged.


def test_without_groups_there_is_no_metadata():
    refused(FilteredTransaction(id=SIGNED.id, parts=(), path=()), "exactly one metadata")


@pytest.mark.parametrize("kind", ["counted", "more", "hidden"])
def test_the_metadata_is_one_component(kind):
    filtered = filter_transaction(SIGNED, FOR_NOTARY)
    if kind == "counted":
        parts = (Counted(group=Group.METADATA, hashes=(b"\0" * 32,)), *filtered.parts[1:])
        refused(replace(filtered, parts=parts), "exactly one metadata")
    elif kind == "more":
        refused(changed(filtered, Group.METADATA, size=2), "exactly one metadata")
    else:
        refused(replace(filtered, parts=filtered.parts[1:]), "exactly one metadata")


def test_an_empty_metadata_is_refused():
    filtered = filter_transaction(SIGNED, {})
    (metadata,) = filtered.parts
    leaf = replace(metadata.leaves[0], text="")
    refused(changed(filtered, Group.METADATA, leaves=(leaf,)), "exactly one metadata")


def test_groups_are_distinct_and_in_order():
    filtered = filter_transaction(SIGNED, FOR_NOTARY)
    metadata, *others = filtered.parts
    refused(replace(filtered, parts=(metadata, *reversed(others))), "out of order")
    refused(replace(filtered, parts=(metadata, *others, others[-1])), "repeat")


def test_another_groups_content_is_refused():
    filtered = filter_transaction(SIGNED, FOR_NOTARY)
    inputs = filtered.part(Group.INPUTS)
    refused(changed(filtered, Group.INPUTS, group=Group.COMMANDS), "out of order|groups are those")
    swapped = changed(filtered, Group.REFERENCES, leaves=inputs.leaves, size=2, path=())
    refused(swapped, "the groups are those of")


def test_another_identifier_is_refused():
    filtered = filter_transaction(SIGNED, FOR_NOTARY)
    refused(replace(filtered, id=identifier(1)), "the groups are those of")


@pytest.mark.parametrize("less", [True, False])
def test_a_group_that_is_left_out_or_added_is_refused(less):
    filtered = filter_transaction(SIGNED, FOR_NOTARY)
    if less:
        refused(replace(filtered, parts=filtered.parts[:-1]), "lacks a hash|groups are those")
    else:
        more = filter_transaction(SIGNED, {**FOR_NOTARY, Group.COMMANDS: [0]})
        refused(replace(filtered, parts=more.parts), "completes nothing|groups are those")


def test_an_input_cannot_be_hidden_from_the_notary():
    """The number of a group's leaves cannot be understated where they are shown."""
    filtered = filter_transaction(SIGNED, {**FOR_NOTARY, Group.INPUTS: [0]})
    assert not filtered_content(filtered).inputs.is_whole()
    inputs = filtered.part(Group.INPUTS)
    assert inputs.size == 2
    refused(changed(filtered, Group.INPUTS, size=1), "completes nothing")
    refused(changed(filtered, Group.INPUTS, size=1, path=()), "groups are those")


def test_a_component_cannot_be_empty_beside_others():
    filtered = filter_transaction(SIGNED, {Group.INPUTS: [0, 1]})
    inputs = filtered.part(Group.INPUTS)
    leaves = (replace(inputs.leaves[0], text=""), inputs.leaves[1])
    refused(changed(filtered, Group.INPUTS, leaves=leaves), "a component is empty")


@pytest.mark.parametrize("leaves", [lambda a, b: (b, a), lambda a, _b: (a, a)])
def test_indexes_rise(leaves):
    filtered = filter_transaction(SIGNED, {Group.INPUTS: [0, 1]})
    forged = leaves(*filtered.part(Group.INPUTS).leaves)
    refused(changed(filtered, Group.INPUTS, leaves=forged), "indexes repeat, or are out of order")


def test_a_size_cannot_be_overstated():
    filtered = filter_transaction(SIGNED, FOR_NOTARY)
    hashes = filtered.part(Group.OUTPUTS).hashes
    refused(changed(filtered, Group.OUTPUTS, hashes=(*hashes, hashes[0])), "groups are those")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.update(id="SHA-256:1"), "no transaction identifier"),
        (lambda f: f.update(size=9), "'size' must be a whole number from 10 to 10"),
        (lambda f: f.update(more=1), "unknown field 'more'"),
        (lambda f: f["groups"][0].update(kind="other"), "'kind' must be"),
        (lambda f: f["groups"][0].update(leaves=[]), "at least one leaf"),
        (lambda f: f["groups"][0]["leaves"][0].update(leaf=1), "'leaf' must be a text"),
        (lambda f: f["groups"][0]["leaves"][0].update(leaf="\ud800"), "no Unicode text"),
        (lambda f: f["groups"][0]["leaves"][0].update(leaf="x" * 1_048_577), "1048577 bytes"),
        (
            lambda f: f["groups"][0]["leaves"][0].update(nonce="AA=="),
            "canonical base64 of 32 bytes",
        ),
        (lambda f: f["path"].append("AA=="), "canonical base64 of 32 bytes"),
        (lambda f: f["path"].append(None), "'path' must be base64"),
        (lambda f: f["groups"].extend(f["groups"] * 3), "a list of at most 10"),
    ],
)
def test_another_form_is_refused(change, message):
    form = copy.deepcopy(filtered_json(filter_transaction(SIGNED, FOR_NOTARY)))
    change(form)
    with pytest.raises(CapabilityError, match=message):
        read_filtered(form)


def test_what_no_transaction_holds_is_refused():
    filtered = filter_transaction(SIGNED, FOR_NOTARY)
    for leaf in ("null", "[", '"SHA-256D:1:0"', "1e999", "1"):
        part = filtered.part(Group.INPUTS)
        forged = changed(
            filtered, Group.INPUTS, leaves=(replace(part.leaves[0], text=leaf), part.leaves[1])
        )
        with pytest.raises(FilteredInvalidError):
            filtered_content(forged)


def test_a_notary_of_two_components_is_refused():
    filtered = filter_transaction(SIGNED, FOR_NOTARY)
    forged = changed(filtered, Group.NOTARY, size=2)
    with pytest.raises(FilteredInvalidError, match="expected 3 notary components, found 2"):
        filtered_content(forged)


def test_metadata_is_an_object():
    filtered = filter_transaction(SIGNED, {})
    leaf = replace(filtered.parts[0].leaves[0], text="[]")
    with pytest.raises(FilteredInvalidError, match="metadata is no object"):
        filtered_content(changed(filtered, Group.METADATA, leaves=(leaf,)))


def test_components_are_bounded_together():
    """No transaction has more bytes, so that no proof of them is looked at."""
    form = copy.deepcopy(filtered_json(filter_transaction(SIGNED, {Group.OUTPUTS: range(5)})))
    for leaf in form["groups"][1]["leaves"]:
        leaf["leaf"] = "x" * 1_000_000
    with pytest.raises(FilteredInvalidError, match="bytes in components, at most 2097152"):
        read_filtered(form)
