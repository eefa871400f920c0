"""What was sent is what is received: for generated types and values, with the same types.

`round_trip_types.py` holds the classes and the generator, so that the sandbox's Python can run
the same check.
"""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordapp.schema import CodecError, schema_of, to_json
from host.domain.json_schema import JsonSchema
from tests.sdk import round_trip_types as types


def stored(value):
    """A JSON value after a database that knows one kind of number."""
    return json.loads(json.dumps(value, allow_nan=False), parse_float=number)


def number(digits):
    found = float(digits)
    return int(found) if found.is_integer() and abs(found) < 1e21 else found


@pytest.mark.property
@settings(max_examples=400, deadline=None)
@given(seed=st.integers(0, 2**64))
def test_generated_values_come_back_with_their_types(seed):
    types.check(random.Random(seed), stored)


@pytest.mark.property
@settings(max_examples=300, deadline=None)
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
