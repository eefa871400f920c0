"""The generated page of types with a JSON form: each row is made by the codec."""

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar
from uuid import UUID

from cordapp.contracts import StateRef
from cordapp.schema import from_json, schema_of, to_json

T = TypeVar("T")


class Colour(Enum):
    RED = "red"


class Side(StrEnum):
    BUY = "buy"


@dataclass(frozen=True)
class Quote:
    price: Decimal
    note: str | None = None


@dataclass(frozen=True)
class Declined:
    note: str


@dataclass(frozen=True)
class Tree:
    name: str
    children: tuple["Tree", ...] = ()


@dataclass(frozen=True)
class Box(Generic[T]):
    content: T


class Point(NamedTuple):
    x: int
    y: int


class Options(TypedDict):
    limit: int


Lei = NewType("Lei", str)
STATE = "SHA-256D:" + "AB" * 32 + ":0"

EXAMPLES: tuple[tuple[str, Any, Any], ...] = (
    ("None", None, None),
    ("bool", bool, True),
    ("int", int, 7),
    ("int beyond 2^53", int, 2**60),
    ("float", float, 1.5),
    ("str", str, "text"),
    ("bytes", bytes, b"\x01\x02"),
    ("Decimal", Decimal, Decimal("10.50")),
    ("datetime, in UTC", datetime, datetime(2026, 1, 1, 12, 30, tzinfo=UTC)),
    ("date", date, date(2026, 1, 1)),
    ("time", time, time(12, 30)),
    ("timedelta", timedelta, timedelta(days=1, seconds=5)),
    ("UUID", UUID, UUID("12345678-1234-5678-1234-567812345678")),
    ("Enum", Colour, Colour.RED),
    ("StrEnum", Side, Side.BUY),
    ("Literal", Literal["day", "week"], "day"),
    ("A | None", int | None, None),
    ("A | B of scalars", int | str, "7"),
    ("A | B of dataclasses", Quote | Declined, Declined("too late")),
    ("list[A], Sequence[A]", list[int], [1, 2]),
    ("tuple[A, ...]", tuple[int, ...], (1, 2)),
    ("tuple[A, B]", tuple[int, str], (1, "a")),
    ("set[A]", set[int], {1, 2}),
    ("frozenset[A]", frozenset[str], frozenset({"a"})),
    ("dict[str, A], Mapping[str, A]", Mapping[str, int], {"a": 1}),
    ("dict[int, A]", dict[int, str], {1: "a"}),
    ("dict[Enum, A]", dict[Side, int], {Side.BUY: 1}),
    ("dict[UUID, A]", dict[UUID, int], {UUID(int=1): 1}),
    ("dict[date, A]", dict[date, int], {date(2026, 1, 1): 1}),
    ("dataclass", Quote, Quote(Decimal("1.5"))),
    ("recursive dataclass", Tree, Tree("a", (Tree("b"),))),
    ("generic dataclass", Box[int], Box(1)),
    ("NamedTuple", Point, Point(1, 2)),
    ("TypedDict", Options, {"limit": 5}),
    ("NewType", Lei, Lei("529900T8BM49AURSDO55")),
    ("Annotated", Annotated[int, {"minimum": 1, "maximum": 100}], 7),
    ("StateRef", StateRef, StateRef.parse(STATE)),
    ("Any", Any, [1, "a"]),
)
"""Name, type hint, value."""
_CHARACTERS_MAX = 160


def with_hint(value: Any, hint: Any) -> Any:
    """The JSON form of a value whose type both sides know."""
    if "hint" in inspect.signature(to_json).parameters:
        return to_json(value, hint)
    return to_json(value)


def supported(hint: Any, value: Any) -> bool:
    """Whether the codec has a form for the hint and the value."""
    try:
        schema_of(hint)
        with_hint(value, hint)
    except Exception:  # noqa: BLE001  # whatever the refusal's class, there is no form
        return False
    return True


def types_page() -> str:
    """The table of types."""
    lines = [
        "# Types with a JSON form",
        "",
        "Fields of states, commands and entities, payloads of sessions, inputs and results of",
        "flows have these types. Each row is made by the codec from its example; patterns of",
        "texts are left out of the schemas. What has no form",
        "is refused when the class is declared or built; the error names class and field.",
        "Keys of dicts are texts, whole numbers, members of enums, literals, UUIDs and dates.",
        "Other keys, such as tuples and Decimals, have no form: write a list of pairs,",
        "`list[tuple[A, B]]`. Nor has `Flag`, whose members can be combined: write a set of an",
        "Enum.",
        "",
        "In a union of classes, `$type` is the class's name with its module: a client that sends",
        "such a value writes it, and finds it in a result. A class or None (`A | None`) has none.",
        "",
        "A class can have a form of its own by the methods `__to_json__`, `__from_json__` and",
        "`__json_schema__`; a dataclass field's metadata `json` renames the field.",
        "",
        "| type | example | JSON | JSON Schema |",
        "|---|---|---|---|",
    ]
    for name, hint, value in EXAMPLES:
        if not supported(hint, value):
            continue
        cells = (
            f"`{name}`",
            f"`{_cut(repr(value))}`",
            f"`{_cut(json.dumps(with_hint(value, hint), sort_keys=True))}`",
            f"`{_cut(json.dumps(_shown(schema_of(hint))))}`",
        )
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    without = [name for name, hint, value in EXAMPLES if not supported(hint, value)]
    if without:
        lines += ["", "Without a form: " + ", ".join(f"`{name}`" for name in without) + "."]
    return "\n".join(lines) + "\n"


def comes_back(hint: Any, value: Any) -> Any:
    """The value that a receiver gets."""
    return from_json(hint, with_hint(value, hint))


def _shown(schema: Any) -> Any:
    """A schema without its patterns, which are long."""
    if isinstance(schema, list):
        return [_shown(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _shown(each)
        for key, each in schema.items()
        if key != "pattern" or not isinstance(each, str)
    }


def _cut(text: str) -> str:
    text = text.replace("type_forms.", "desk_flows.")
    return text if len(text) <= _CHARACTERS_MAX else f"{text[:_CHARACTERS_MAX]}…"
