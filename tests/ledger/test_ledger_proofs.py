"""Multiproofs, the order of a backchain, batch proofs and statuses."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.ledger.core.batch import (
    BatchProof,
    batch_proofs,
    batch_root,
    proven_batch_root,
    signable_batch,
)
from host.ledger.core.graph import CycleError, dependencies_first
from host.ledger.core.merkle import id_text, nonce_node, root_node, sha256d, tree_root
from host.ledger.core.proofs import ProofInvalidError, proof_path, proven_root
from host.ledger.core.signed import signable
from host.ledger.core.statuses import Reason, Status, may_become

NODES = (nonce_node, root_node)


def leaf(number):
    return sha256d(number.to_bytes(4, "big"))


@st.composite
def trees(draw, most=40):
    size = draw(st.integers(1, most))
    indexes = draw(st.sets(st.integers(0, size - 1), min_size=1))
    return [leaf(number) for number in range(size)], indexes, draw(st.sampled_from(NODES))


@given(trees())
def test_a_proof_of_any_leaves_gives_the_root(tree):
    leaves, indexes, node = tree
    path = proof_path(leaves, indexes, node)
    known = {index: leaves[index] for index in indexes}
    assert proven_root(len(leaves), known, path, node) == tree_root(leaves, node)


@given(trees(), st.data())
def test_no_change_of_a_proof_gives_the_root(tree, data):
    leaves, indexes, node = tree
    path = list(proof_path(leaves, indexes, node))
    known = {index: leaves[index] for index in indexes}
    kinds = ["leaf", "less", "more"] if path else ["leaf", "more"]
    kind = data.draw(st.sampled_from([*kinds, "hash"] if path else kinds))
    if kind == "leaf":
        known[data.draw(st.sampled_from(sorted(known)))] = leaf(10_000)
    elif kind == "less":
        path.pop(data.draw(st.integers(0, len(path) - 1)))
    elif kind == "more":
        path.insert(data.draw(st.integers(0, len(path))), leaf(10_000))
    else:
        path[data.draw(st.integers(0, len(path) - 1))] = leaf(10_000)
    try:
        root = proven_root(len(leaves), known, path, node)
    except ProofInvalidError:
        return
    assert root != tree_root(leaves, node)


@given(trees(), st.integers(1, 60))
def test_a_nonce_tree_commits_to_its_size(tree, size):
    """The depth is hashed, so a tree of another height has another root."""
    leaves, indexes, _ = tree
    if (size - 1).bit_length() == (len(leaves) - 1).bit_length() or size <= max(indexes):
        return
    path = proof_path(leaves, indexes, nonce_node)
    known = {index: leaves[index] for index in indexes}
    try:
        root = proven_root(size, known, path, nonce_node)
    except ProofInvalidError:
        return
    assert root != tree_root(leaves, nonce_node)


@pytest.mark.parametrize("indexes", [[], [3], [-1], [0, 7]])
def test_indexes_outside_of_a_tree_are_refused(indexes):
    leaves = [leaf(number) for number in range(3)]
    with pytest.raises(ProofInvalidError, match="of 3"):
        proof_path(leaves, indexes, root_node)
    with pytest.raises(ProofInvalidError):
        proven_root(3, dict.fromkeys(indexes, leaf(0)), (), root_node)


def identifier(number):
    return id_text(leaf(number))


@given(st.integers(1, 70))
def test_each_transaction_of_a_batch_is_proved(count):
    ids = [identifier(number) for number in range(count)]
    root = batch_root(ids)
    proofs = batch_proofs(ids)
    assert [proven_batch_root(one, proofs[one]) for one in ids] == [root] * count
    assert proven_batch_root(identifier(1000), proofs[ids[0]]) != root


def test_a_batch_of_one_signs_other_bytes_than_the_transaction():
    (one,) = ids = [identifier(1)]
    assert batch_root(ids) != one
    assert signable_batch(one, {}) != signable(one, {})


def test_a_proof_of_another_place_fails():
    ids = [identifier(number) for number in range(5)]
    proof = batch_proofs(ids)[ids[4]]
    with pytest.raises(ProofInvalidError):
        proven_batch_root(ids[4], BatchProof(size=5, index=9, path=proof.path))
    elsewhere = BatchProof(size=8, index=4, path=proof.path)
    with pytest.raises(ProofInvalidError, match="lacks"):
        proven_batch_root(ids[4], elsewhere)


@st.composite
def graphs(draw):
    """Random graphs without cycles, of which some edges lead elsewhere, in any order."""
    choose = Random(draw(st.integers(0)))
    keys = list(range(draw(st.integers(0, 200))))
    refs = {key: choose.sample(range(key), choose.randint(0, min(key, 4))) for key in keys}
    choose.shuffle(keys)
    return {str(key): [*map(str, refs[key]), "elsewhere"][: len(keys)] for key in keys}


@given(graphs())
def test_dependencies_come_first(graph):
    order = dependencies_first(graph)
    assert sorted(order) == sorted(graph)
    place = {key: number for number, key in enumerate(order)}
    assert all(place[ref] < place[key] for key in graph for ref in graph[key] if ref in graph)
    assert dependencies_first(graph) == order


def test_what_was_found_first_comes_first():
    assert dependencies_first({"c": [], "a": [], "b": []}) == ["c", "a", "b"]
    assert dependencies_first({"c": ["a"], "b": [], "a": []}) == ["b", "a", "c"]


def test_a_cycle_is_refused():
    with pytest.raises(CycleError, match="depend on each other: a, b"):
        dependencies_first({"a": ["b"], "b": ["a"], "c": []})
    with pytest.raises(CycleError):
        dependencies_first({"a": ["a"]})


@pytest.mark.parametrize(
    ("current", "reason", "following"),
    [
        (None, None, "DUVI"),
        ("D", None, "DUVI"),
        ("U", None, "UVI"),
        ("V", None, "V"),
        ("I", "structure", "I"),
        ("I", "contract", "I"),
        ("I", "refused", "VI"),
        ("I", "notary", "VI"),
    ],
)
def test_which_statuses_follow(current, reason, following):
    status = None if current is None else Status(current)
    why = None if reason is None else Reason(reason)
    found = {after.value for after in Status if may_become(status, why, after)}
    assert found == set(following)
