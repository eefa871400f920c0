"""JSON Schema of type hints and the codec: both say the same about every value."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Annotated, Any, ClassVar, Literal, NewType, Optional

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordapp.schema import (
    INTEGER_MAX,
    CodecError,
    Constraint,
    SchemaError,
    from_json,
    schema_of,
    to_json,
)

Key = NewType("Key", str)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Level(Enum):
    LOW = 1
    HIGH = 2


@dataclass(frozen=True)
class Address:
    street: str
    number: int = 1


@dataclass(frozen=True, kw_only=True)
class Person:
    LIMIT: ClassVar[int] = 3
    name: str
    key: Key
    age: int | None = None
    address: Address
    tags: list[str] = field(default_factory=list)
    pair: tuple[int, str] = (0, "")
    numbers: tuple[int, ...] = ()
    marks: dict[str, float] = field(default_factory=dict)
    colour: Colour = Colour.RED
    level: Level = Level.LOW
    mode: Literal["a", 1] | None = "a"
    amount: Decimal = Decimal(0)
    at: datetime | None = None
    raw: bytes = b""
    either: int | Address | str = 0
    camel: bool = field(default=False, metadata={"json": "camelCase"})


ADDRESSES = st.builds(Address, street=st.text(), number=st.integers(-INTEGER_MAX, INTEGER_MAX))
PERSONS = st.builds(
    Person,
    name=st.text(),
    key=st.text(),
    age=st.none() | st.integers(-INTEGER_MAX, INTEGER_MAX),
    address=ADDRESSES,
    tags=st.lists(st.text()),
    pair=st.tuples(st.integers(-10, 10), st.text()),
    numbers=st.lists(st.integers(-10, 10)).map(tuple),
    marks=st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
    colour=st.sampled_from(Colour),
    level=st.sampled_from(Level),
    mode=st.sampled_from(["a", 1, None]),
    amount=st.decimals(allow_nan=False, allow_infinity=False, places=4),
    at=st.none() | st.datetimes(timezones=st.just(UTC)),
    raw=st.binary(),
    either=st.integers(-10, 10) | ADDRESSES | st.text(),
    camel=st.booleans(),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(-5, 5) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["street", "number"]), inner),
)


@pytest.mark.property
@settings(deadline=None)
@given(PERSONS)
def test_round_trip_through_json_text_that_fits_the_schema(person):
    value = json.loads(json.dumps(to_json(person, Person)))
    jsonschema.Draft202012Validator(schema_of(Person)).validate(value)
    assert from_json(Person, value) == person


@pytest.mark.property
@pytest.mark.parametrize(
    "hint",
    [
        None,
        bool,
        int,
        float,
        str,
        Decimal,
        list[int],
        tuple[int, str],
        tuple[int, ...],
        dict[str, int],
        Literal["a", 1],
        Colour,
        Level,
        Address,
        int | None,
        Address | list[Address],
    ],
)
@settings(deadline=None)
@given(value=JSON)
def test_codec_accepts_what_the_schema_accepts(hint, value):
    accepted = jsonschema.Draft202012Validator(schema_of(hint)).is_valid(value)
    try:
        from_json(hint, value)
    except CodecError:
        decoded = False
    else:
        decoded = True
    assert decoded == accepted


@pytest.mark.parametrize(
    ("hint", "value", "message"),
    [
        (Address, {"street": "x", "number": "y"}, "$.number: expected an integer, found 'y'"),
        (Address, {}, "$.street: is missing"),
        (Address, {"street": "", "zip": 1}, "$.zip: Address has no such field"),
        (Address, [], "$: expected an object, found []"),
        (list[Address], [{"street": 1}], "$[0].street: expected a string, found 1"),
        (dict[str, int], {"a": 1.5}, "$.a: expected an integer, found 1.5"),
        (int, True, "$: expected an integer, found True"),
        (int, 2**53, "$: an integer beyond 2^53-1 is written as text"),
        (float, float("nan"), "$: nan has no JSON form"),
        (Decimal, "1e5", "$: expected a decimal number, found '1e5'"),
        (datetime, "2026-01-01T00:00:00", "$: expected an instant with time zone, found"),
        (datetime, "yesterday", "$: expected an instant, found 'yesterday'"),
        (bytes, "!", "$: expected base64 text, found '!'"),
        (Colour, "green", """$: expected one of ["red","blue"], found 'green'"""),
        (tuple[int, int], [1], "$: expected 2 items, found [1]"),
        (int | None, "x", "$: expected an integer, found 'x'"),
        (Optional[int], "x", "$: expected an integer, found 'x'"),  # noqa: UP045
        (int | bool, "x", "$: fits no alternative: $: expected a"),  # in either order
        (str, 10**60, "$: expected a string, found 1000000000"),
    ],
)
def test_refusal_names_the_place(hint, value, message):
    with pytest.raises(CodecError) as refused:
        from_json(hint, value)
    assert str(refused.value).startswith(message)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    "value",
    [10**1024, float("inf"), Decimal("NaN"), Decimal("1e1000000"), datetime(2026, 1, 1), object()],  # noqa: DTZ001
)
def test_values_without_json_form(value):
    with pytest.raises(CodecError):
        to_json([value])


class Undecorated(Address):
    more: int


@pytest.mark.parametrize(
    "hint",
    [set[list[int]], object(), list, dict[float, str], complex, Address | dict[complex, int]],
)
def test_hints_without_json_form(hint):
    with pytest.raises(SchemaError):
        schema_of(hint)


def test_forgotten_dataclass_decorator_is_named():
    with pytest.raises(SchemaError, match=r"Undecorated\.more: write @dataclass"):
        schema_of(Undecorated)


def test_schema_of_a_dataclass():
    assert schema_of(Address) == {
        "title": "Address",
        "type": "object",
        "properties": {
            "street": {"type": "string"},
            "number": {**schema_of(int), "default": 1},
        },
        "required": ["street"],
        "additionalProperties": False,
    }


def test_annotated_adds_keywords_and_collections_are_known():
    positive = Annotated[int, {"minimum": 1, "description": "pence"}]
    assert schema_of(positive)["minimum"] == 1
    assert schema_of(Sequence[str]) == {"type": "array", "items": {"type": "string"}}
    assert schema_of(Mapping[str, Any]) == {"type": "object", "additionalProperties": {}}
    assert from_json(Mapping[str, Any], {"a": [1]}) == {"a": [1]}


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (Annotated[int, Constraint(ge="a")], "minimum of int: expected a number, found 'a'"),
        (Annotated[float, Constraint(lt=float("nan"))], "exclusiveMaximum of float: expected"),
        (Annotated[int, {"maximum": True}], "maximum of int: expected a number, found True"),
        (Annotated[str, Constraint(min_length=-1)], "minLength of str: expected a whole number"),
        (Annotated[list[int], Constraint(max_length=1.5)], "maxItems of list"),
        (Annotated[dict[str, int], {"minProperties": "1"}], "minProperties of dict"),
        (Annotated[int, Constraint(multiple_of=0)], "multipleOf of int: expected a number above"),
        (Annotated[str, {"pattern": 5}], "pattern of str: expected a text, found 5"),
        (Annotated[str, {"enum": "ab"}], "enum of str: expected a list, found 'ab'"),
        (Annotated[int, Constraint(ge=5, le=1)], "no int has minimum 5 and maximum 1"),
        (Annotated[int, Constraint(gt=5, le=5)], "no int has exclusiveMinimum 5 and maximum 5"),
        (Annotated[Decimal, Constraint(ge=2, lt=Decimal(1))], "no decimal has minimum 2 and"),
        (Annotated[date, Constraint(ge="2026-01-02", le="2026-01-01")], "no date has minimum"),
        (Annotated[str, Constraint(min_length=3, max_length=2)], "no str has minLength 3 and"),
        (Annotated[set[int], Constraint(min_length=3, max_length=2)], "no set"),
    ],
)
def test_a_constraint_that_no_value_can_keep_is_refused(hint, words):
    """Some passed the build, and failed with a TypeError at the first message."""
    with pytest.raises(SchemaError) as refused:
        schema_of(hint)
    assert words in str(refused.value)


@dataclass(frozen=True)
class Listed:
    names: list[str]


@dataclass(frozen=True)
class Around:
    inside: tuple[Listed | None, ...] = ()


@dataclass(frozen=True)
class Aside:
    names: list[str] = field(compare=False)


@dataclass(frozen=True)
class Hashing(Listed):
    def __hash__(self):
        return len(self.names)


@dataclass(frozen=True)
class Branch:
    below: "frozenset[Branch]" = frozenset()
    label: Any = None


@pytest.mark.parametrize("element", [Listed, Around, tuple[Around, int], Listed | None, Branch])
def test_a_set_of_records_with_fields_that_cannot_be_hashed_is_refused(element):
    """Frozen dataclasses, whose hash is made of their fields; decoding ended with a TypeError."""
    with pytest.raises(SchemaError, match="cannot be hashed"):
        schema_of(frozenset[element])


@pytest.mark.parametrize("element", [Aside, Hashing])
def test_a_set_of_records_whose_hash_leaves_such_fields_out_is_none_to_refuse(element):
    form = [{"names": ["a"]}]
    jsonschema.validate(form, schema_of(set[element]))
    assert from_json(set[element], form) == {element(["a"])}


def test_a_pattern_may_be_a_compiled_one():
    hint = Annotated[str, Constraint(pattern=re.compile("^[A-Z]{3}$"))]  # type: ignore[arg-type]
    assert schema_of(hint) == {"type": "string", "pattern": "^[A-Z]{3}$"}
    assert from_json(hint, "GBP") == "GBP"


def test_instants_are_written_in_utc():
    east = datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert to_json(east, datetime) == "2026-01-01T00:00:00.000000Z"
    assert from_json(datetime, "2026-01-01T00:00:00.000000Z") == east
