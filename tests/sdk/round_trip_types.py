"""Types and values of them, at random: also run by the sandbox's Python, so without libraries.

A `Kind` is a type hint and a function that makes values of it.
"""

# not for cryptography

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    TypedDict,
    TypeVar,
)
from uuid import UUID

from cordapp.schema import Constraint, form_of, from_json, to_json

T = TypeVar("T")
K = TypeVar("K")
Key = NewType("Key", str)


@dataclass(frozen=True)
class Yes:
    note: str


@dataclass(frozen=True)
class No:
    note: str
    price: int = 0


@dataclass(frozen=True)
class Empty:
    pass


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Side(Enum):
    """Members whose values are no scalars go by their names."""

    BUY = ("B", 1)
    SELL = ("S", -1)


class Mixed(Enum):
    ONE = 1
    TEXT = "one"
    NOTHING = None


class Point(NamedTuple):
    x: int
    y: Decimal = Decimal(0)


class Options(TypedDict):
    day: date
    limit: NotRequired[int]


@dataclass(frozen=True)
class Box(Generic[T]):
    item: T
    more: tuple[T, ...] = ()
    perhaps: T | None = None


@dataclass(frozen=True)
class Labelled(Box[T], Generic[K, T]):
    label: K | None = None


@dataclass(frozen=True)
class Tree:
    children: tuple["Tree | Yes | None", ...] = ()
    parent: "Tree | None" = None
    answer: Yes | No | str | Decimal = ""
    index: dict[date, "Tree"] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    hint: Any
    value: Callable[[Any], Any]


def _text(source: Any) -> str:
    letters = 'ab$"\\/é漢😀\n 019.-:TZ'
    known = ["", "1", "1.50", "red", "2024-02-29", "$type", "true", "null", "AA==", "P1D"]
    made = "".join(source.choice(letters) for _ in range(source.randrange(6)))
    return source.choice([*known, made])


def _integer(source: Any) -> int:
    return source.choice([0, 1, -1, 2, source.randrange(-(2**53) - 5, 2**53 + 5), 2**53 - 1, 2**53,
                          -(2**53), source.randrange(-(10**40), 10**40)])  # fmt: skip


def _float(source: Any) -> float:
    return source.choice([0.0, 1.0, -2.0, 1e16, 1e300, 5e-324, 0.1, source.uniform(-1e9, 1e9)])


def _decimal(source: Any) -> Decimal:
    digits = Decimal(source.randrange(-(10**20), 10**20))
    return source.choice([Decimal(1), Decimal("1.50"), Decimal("-0.00"), Decimal("1E+3"),
                          digits.scaleb(source.randrange(-40, 40)), Decimal("7E-2000"), Decimal("7E+999999")])  # fmt: skip


def _zone(source: Any) -> Any:
    return source.choice([UTC, timezone(timedelta(minutes=source.randrange(-1400, 1400)))])


def _day(source: Any) -> date:
    return source.choice([date.min, date.max, date(2024, 2, 29),
                          date.fromordinal(source.randrange(1, date.max.toordinal()))])  # fmt: skip


def _clock(source: Any) -> time:
    made = time(source.randrange(24), source.randrange(60), source.randrange(60),
                source.randrange(10**6))  # fmt: skip
    return source.choice([made, made.replace(microsecond=0), made.replace(tzinfo=_zone(source))])


def _instant(source: Any) -> datetime:
    return datetime.combine(_day(source), _clock(source).replace(tzinfo=None), _zone(source))


def _span(source: Any) -> timedelta:
    return source.choice([timedelta.min, timedelta.max, timedelta(0), timedelta(microseconds=-1),
                          timedelta(seconds=source.uniform(-1e12, 1e12))])  # fmt: skip


def _tree(source: Any, depth: int = 2) -> Tree:
    def child() -> Any:
        return source.choice([None, Yes(_text(source))]) if not depth else _tree(source, depth - 1)

    children = tuple(child() for _ in range(source.randrange(3)))
    parent = _tree(source, 0) if depth and source.random() < 0.3 else None
    answer = source.choice([Yes("x"), No("x"), _text(source), _decimal(source)])
    index = {_day(source): _tree(source, 0)} if depth else {}
    return Tree(children, parent, answer, index)


def _options(source: Any) -> Options:
    more: Any = {"limit": _integer(source)} if source.random() < 0.5 else {}
    return {"day": _day(source), **more}


SCALARS = (
    Kind(None, lambda _: None),
    Kind(bool, lambda r: r.random() < 0.5),
    Kind(int, _integer),
    Kind(float, _float),
    Kind(str, _text),
    Kind(Key, _text),
    Kind(Decimal, _decimal),
    Kind(datetime, _instant),
    Kind(date, _day),
    Kind(time, _clock),
    Kind(timedelta, _span),
    Kind(UUID, lambda r: UUID(int=r.getrandbits(128))),
    Kind(bytes, lambda r: r.randbytes(r.randrange(5)) if hasattr(r, "randbytes") else b"\1"),
    Kind(Colour, lambda r: r.choice(list(Colour))),
    Kind(Level, lambda r: r.choice(list(Level))),
    Kind(Side, lambda r: r.choice(list(Side))),
    Kind(Mixed, lambda r: r.choice(list(Mixed))),
    Kind(Literal["red", 1, True], lambda r: r.choice(["red", 1, True])),
    Kind(Literal[Colour.RED, "x"], lambda r: r.choice([Colour.RED, "x"])),
    Kind(Annotated[int, Constraint(ge=1)], lambda r: abs(_integer(r)) + 1),
    Kind(Annotated[str, Constraint(max_length=12)], _text),
    Kind(Annotated[Decimal, Constraint(ge=Decimal("-1e99"))], _decimal),
    Kind(Yes, lambda r: Yes(_text(r))),
    Kind(No, lambda r: No(_text(r), _integer(r))),
    Kind(Empty, lambda _: Empty()),
    Kind(Point, lambda r: Point(_integer(r), _decimal(r))),
)
LEAVES = (*SCALARS, Kind(Options, _options), Kind(Tree, _tree))
KEYS = (str, Key, int, Colour, Level, Mixed, Side, UUID, date)
UNHASHABLE = (dict, list, set)


def a_type(source: Any, depth: int) -> Kind:
    """A type of at most `depth` levels of containers, unions and generic classes."""
    if not depth or source.random() < 0.2:
        return source.choice(LEAVES)
    return source.choice([_union, _union, _list, _tuple, _pair, _set, _dict, _box, _labelled])(
        source, depth - 1
    )


def _many(kind: Kind, source: Any) -> list[Any]:
    return [kind.value(source) for _ in range(source.randrange(4))]


def _list(source: Any, depth: int) -> Kind:
    kind = a_type(source, depth)
    origin = source.choice([list, Sequence])
    return Kind(origin[kind.hint], lambda r: _many(kind, r))


def _tuple(source: Any, depth: int) -> Kind:
    kind = a_type(source, depth)
    return Kind(tuple[kind.hint, ...], lambda r: tuple(_many(kind, r)))


def _pair(source: Any, depth: int) -> Kind:
    kinds = [a_type(source, depth) for _ in range(source.randrange(4))]
    return Kind(tuple[tuple(k.hint for k in kinds)] if kinds else tuple[()],
                lambda r: tuple(k.value(r) for k in kinds))  # fmt: skip


def _set(source: Any, _depth: int) -> Kind:
    kind, other = source.choice(SCALARS), source.choice(SCALARS)
    origin = source.choice([set, frozenset])
    if source.random() < 0.5:
        return Kind(origin[kind.hint], lambda r: origin(_many(kind, r)))
    return Kind(origin[kind.hint | other.hint if kind.hint and other.hint else kind.hint],
                lambda r: origin(_many(kind, r)))  # fmt: skip


def _dict(source: Any, depth: int) -> Kind:
    hint = source.choice(KEYS)
    key = next(kind for kind in SCALARS if kind.hint is hint)
    kind = a_type(source, depth)
    origin = source.choice([dict, Mapping])
    return Kind(origin[hint, kind.hint], lambda r: {key.value(r): v for v in _many(kind, r)})


def _union(source: Any, depth: int) -> Kind:
    arms = [a_type(source, depth) for _ in range(source.randrange(2, 5))]
    hint = arms[0].hint
    for arm in arms[1:]:
        hint = hint | arm.hint if hint is not None else arm.hint | None if arm.hint else None
    return Kind(hint, lambda r: r.choice(arms).value(r))


def _box(source: Any, depth: int) -> Kind:
    kind = a_type(source, depth)

    def made(r: Any) -> Any:
        return Box(kind.value(r), tuple(_many(kind, r)), r.choice([None, kind.value(r)]))

    return Kind(Box[kind.hint], made)


def _labelled(source: Any, depth: int) -> Kind:
    kind, label = a_type(source, depth), a_type(source, 0)

    def made(r: Any) -> Any:
        return Labelled(kind.value(r), tuple(_many(kind, r)), None, label.value(r))

    return Kind(Labelled[label.hint, kind.hint], made)


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, and all of their parts of the same types."""
    if type(one) is not type(other) or one != other:
        return False
    if isinstance(one, (list, tuple)):
        return all(map(same, one, other))
    if isinstance(one, dict):
        return all(same(value, other[key]) for key, value in one.items()) and same(
            sorted(map(repr, one)), sorted(map(repr, other))
        )
    if isinstance(one, (set, frozenset)):
        return sorted(type(v).__name__ for v in one) == sorted(type(v).__name__ for v in other)
    if hasattr(one, "__dataclass_fields__"):
        return all(same(getattr(one, n), getattr(other, n)) for n in one.__dataclass_fields__)
    return str(one) == str(other) if isinstance(one, Decimal) else True


def check(source: Any, stored: Callable[[Any], Any] = lambda v: json.loads(json.dumps(v))) -> None:
    """One type and one value: there and back, told the type or not."""
    kind = a_type(source, 3)
    value = kind.value(source)
    told, untold = stored(to_json(value, kind.hint)), stored(to_json(value))
    for form in (told, untold):
        back = from_json(kind.hint, form)
        assert same(back, value), (kind.hint, value, form, back)
    assert same(strict(kind.hint, told), value), (kind.hint, value, told)


def strict(hint: Any, form: Any) -> Any:
    """The value of a form of a type that both sides know."""
    return form_of(hint).decode(form, "$")


def damaged(source: Any, form: Any) -> Any:
    """A form with one place changed, or none."""
    if isinstance(form, list) and form and source.random() < 0.8:
        place = source.randrange(len(form))
        return [damaged(source, v) if n == place else v for n, v in enumerate(form)]
    if isinstance(form, dict) and form and source.random() < 0.8:
        place = source.choice(sorted(form))
        if source.random() < 0.2:
            return {k: v for k, v in form.items() if k != place}
        return {k: damaged(source, v) if k == place else v for k, v in form.items()}
    odd = [None, True, 0, 1.0, 1.5, 2**53, -1, "", "1", "01", "1e5", "x", "2024-02-30", "0000-01-01",
           "2024-02-29T24:00:00Z", "2024-02-29T10:00:00", "2024-02-29T10:00:00.1234567Z",
           "2024-02-29t10:00:00z", "2024-02-29T10:00:00+01:00", "P", "PT", "P1Y", "-P1DT1.5S",
           "A", "AAA", "AAAA", "AB==", "é", [], {}, {"$type": "x"}, {"note": "x"}, "10:00",
           "9007199254740993", "-9007199254740993", "900719925474099", "9007199254740993.0",
           {"$type": "decimal", "$value": "1.0"}, {"$type": "int", "$value": 5}, [1, 1.0],
           "123e4567-e89b-12d3-a456-426614174000", "123E4567-E89B-12D3-A456-426614174000"]  # fmt: skip
    return source.choice([form, *odd])
