"""Canonical JSON: the fast encoding writes what rfc8785 does."""

import enum
import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from host.domain.json import canonical_json

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    _TEXTS,
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(_VALUES)
def test_every_value_is_encoded_as_by_rfc8785(value: object) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)  # type: ignore[arg-type]  # JSON


@pytest.mark.parametrize(
    "value",
    [
        {"\U00010000": 1, "\uffff": 2},  # by code points the other way round
        {"b": 1, "a": [1.0, 1e21, -0.0, 1e-7]},
        ["".join(map(chr, range(0x20))), '"\\/\x7f\u2028é'],
        (1, ("a",), []),
        enum.IntEnum("Colour", ["RED"]).RED,
    ],
    ids=["keys", "floats", "escapes", "tuples", "subclass"],
)
def test_what_pythons_encoder_writes_otherwise_is_encoded_as_by_rfc8785(value: object) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)  # type: ignore[arg-type]  # JSON


@pytest.mark.parametrize("value", [2**53, float("nan"), "\ud800", {"\ud800": 1}, {1: 2}, {b"a"}])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        canonical_json([value])  # type: ignore[list-item]  # it is wrong
    assert isinstance(refused.value, rfc8785.CanonicalizationError | UnicodeEncodeError)


def test_a_value_that_is_nested_too_deeply_is_refused() -> None:
    value = json.loads("[" * 900 + "]" * 900)
    for _ in range(100_000):
        value = [value]
    with pytest.raises(RecursionError):
        canonical_json(value)
