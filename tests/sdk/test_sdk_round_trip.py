"""What was sent is what is received: for generated types and values, with the same types.

`round_trip_types.py` holds the classes and the generator, so that the sandbox's Python can run
the same check.
"""

import json
import random
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordapp.schema import CodecError, from_json, schema_of, to_json
from host.domain.json_schema import JsonSchema
from tests.sdk import round_trip_types as types
from tests.support.properties import examples


def stored(value):
    """A JSON value after a database that knows one kind of number."""
    return json.loads(json.dumps(value, allow_nan=False), parse_float=number)


def number(digits):
    found = float(digits)
    return int(found) if found.is_integer() and abs(found) < 1e21 else found


@pytest.mark.property
@settings(max_examples=examples(400), deadline=None)
@given(seed=st.integers(0, 2**64))
def test_generated_values_come_back_with_their_types(seed):
    types.check(random.Random(seed), stored)


@pytest.mark.parametrize("seed", [361799, 367295, 375443])
def test_arms_that_differ_in_what_they_contain_are_told_apart(seed):
    """Times beside texts, and enums that are texts beside texts, in containers of one class."""
    types.check(random.Random(seed), stored)


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (Sequence[types.Mixed] | Sequence[Literal[1, 2]], [1]),
        (Sequence[types.Mixed] | Sequence[Literal[1, 2]], [types.Mixed(1)]),
        (int | Decimal, Decimal(99368076039431069239)),
        (int | Decimal, 99368076039431069239),
        (list[float] | list[int], [1, 2]),
        (list[float] | list[int], [1.0, 2.0]),
        (dict[str, date] | dict[str, str], {"a": "2024-02-29"}),
        (dict[str, date] | dict[str, str], {"a": date(2024, 2, 29)}),
        (dict[int, bool] | dict[str, bool], {"1": True}),
        (dict[int, bool] | dict[str, bool], {1: True}),
        (list[dict[str, types.Mixed | None]] | list[dict[str, int | None]], [{"a": 1, "b": None}]),
    ],
)  # fmt: skip
def test_a_union_of_containers_gives_back_what_a_sender_wrote_without_knowing_it(hint, value):
    """A list of numbers could be one of an enum, whose sender had named the enum."""
    for form in (to_json(value), to_json(value, hint)):
        assert types.same(from_json(hint, stored(form)), value), form


def test_a_peer_may_leave_out_what_the_union_says_anyway():
    hint = Sequence[types.Mixed] | Sequence[date]
    assert from_json(hint, [1]) == [types.Mixed(1)]
    assert from_json(hint, ["2024-02-29"]) == [date(2024, 2, 29)]


@pytest.mark.property
@settings(max_examples=examples(300), deadline=None)
@given(seed=st.integers(0, 2**64))
def test_the_schema_takes_what_the_codec_takes(seed):
    """Forms of one type, and such forms damaged in one place, are judged alike."""
    source = random.Random(seed)
    kind = types.a_type(source, 2)
    schema = JsonSchema(schema_of(kind.hint))
    form = types.damaged(source, to_json(kind.value(source), kind.hint))
    misfit = schema.misfit(form)
    try:
        types.strict(kind.hint, form)
    except CodecError as refused:
        problem = str(refused)
    else:
        problem = None
    assert (problem is None) == (misfit is None), (kind.hint, form, problem, misfit)
