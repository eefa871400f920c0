"""Transaction identifiers, against a second computation written from Corda's description."""

import hashlib
from math import ceil, log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.ledger.core.merkle import component_root, sha256d, transaction_id, tree_root
from host.ledger.core.signed import privacy_salt
from tests.support.properties import examples

KNOWN = "SHA-256D:2B318AE66CCEE341869CA4C1ED4AF73096AEF20BDC4265EE377F1C4BEE29B26E"
SALT = b"6e1ae6a4-3c1c-4f4e-9a54-0f2a0f2a0f2a-3-0"


def double(*parts):
    return hashlib.sha256(hashlib.sha256(b"".join(parts)).digest()).digest()


def be32(number):
    return bytes([number >> 24 & 255, number >> 16 & 255, number >> 8 & 255, number & 255])


def spelled(digest):
    return b"SHA-256D:" + digest


def recursive_root(leaves, node, depth=0):
    """The same tree from the top: the left child holds the largest power of two of leaves.

    Lifting an unpaired element to the next level unchanged is the same as this split; the depth
    that a node is hashed with is where its pairing happens, counted down from the leaves.
    """
    if len(leaves) == 1:
        return leaves[0]
    left_count = 1 << (ceil(log2(len(leaves))) - 1)
    # A right subtree that is lower than the left was lifted: its root stands deeper.
    height_left, height_right = height(left_count), height(len(leaves) - left_count)
    left = recursive_root(leaves[:left_count], node, depth + 1)
    right = recursive_root(leaves[left_count:], node, depth + 1 + height_left - height_right)
    return node(depth, left, right)


def height(count):
    return ceil(log2(count)) if count > 1 else 0


def expected_group_root(salt, group, leaves):
    entropy = double(salt, be32(group))
    if not leaves:
        leaves = [b""]
    hashed = [
        double(spelled(double(be32(index), entropy)), leaf) for index, leaf in enumerate(leaves)
    ]
    return recursive_root(
        hashed, lambda depth, left, right: double(be32(depth), spelled(left), spelled(right))
    )


def expected_id(salt, groups):
    roots = [expected_group_root(salt, index, group) for index, group in enumerate(groups)]
    top = recursive_root(
        [double(b"leaf", root) for root in roots],
        lambda depth, left, right: double(b"node", spelled(left), spelled(right)),
    )
    return f"SHA-256D:{top.hex().upper()}"


LEAVES = st.lists(st.binary(max_size=20), max_size=9)


@pytest.mark.property
@settings(max_examples=examples(100), deadline=None)
@given(salt=st.binary(min_size=32, max_size=40), groups=st.lists(LEAVES, min_size=1, max_size=10))
def test_identifiers_agree_with_the_second_computation(salt, groups):
    assert transaction_id(salt, groups) == expected_id(salt, groups)


def test_three_leaves_by_hand():
    entropy = double(SALT, b"\0\0\0\x02")
    a, b, c = (
        double(b"SHA-256D:" + double(bytes([0, 0, 0, i]), entropy), leaf)
        for i, leaf in enumerate((b"a", b"b", b"c"))
    )
    pair = double(b"\0\0\0\x01", b"SHA-256D:" + a, b"SHA-256D:" + b)
    root = double(b"\0\0\0\0", b"SHA-256D:" + pair, b"SHA-256D:" + c)
    assert component_root(SALT, 2, [b"a", b"b", b"c"]) == root


def test_an_empty_group_is_one_empty_leaf():
    assert component_root(SALT, 5, []) == component_root(SALT, 5, [b""])
    assert component_root(SALT, 5, []) == double(
        spelled(double(be32(0), double(SALT, be32(5)))), b""
    )


def test_a_known_identifier_stays_what_it_is():
    groups = [[b"metadata"], [], [b"key"], [b"info"], [b"Issue"], [], [], [], [b"state"], [b"{}"]]
    assert transaction_id(SALT, groups) == expected_id(SALT, groups)
    assert transaction_id(SALT, groups) == KNOWN


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 7, 8, 9])
def test_every_node_is_hashed_once_with_its_depth(count):
    depths = []

    def node(depth, left, right):
        depths.append(depth)
        return sha256d(left + right)

    tree_root([bytes([index]) * 32 for index in range(count)], node)
    assert len(depths) == count - 1
    assert depths[-1:] in ([], [0])
    assert depths == sorted(depths, reverse=True)


@pytest.mark.property
@settings(max_examples=examples(50), deadline=None)
@given(groups=st.lists(LEAVES, min_size=2, max_size=5), data=st.data())
def test_no_leaf_can_change_move_or_vanish_unnoticed(groups, data):
    identifier = transaction_id(SALT, groups)
    index = data.draw(st.integers(0, len(groups) - 1))
    group = groups[index]
    variants = [[*group, b"more"], group[:-1], [*group[:-1], b"other" * 5]]
    for variant in variants:
        if (variant or [b""]) != (group or [b""]):
            changed = [*groups[:index], variant, *groups[index + 1 :]]
            assert transaction_id(SALT, changed) != identifier
    assert transaction_id(SALT + b"x", groups) != identifier


def test_the_salt_depends_on_the_call_only_and_is_long_enough():
    assert privacy_salt("6e1ae6a4-3c1c-4f4e-9a54-0f2a0f2a0f2a-3") == SALT
    assert privacy_salt("f-1") == b"f-1-0" + b"\0" * 27
