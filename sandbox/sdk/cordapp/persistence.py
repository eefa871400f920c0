"""Entities: declared with their schema, queries and migrations, stored by the virtual node.

@entity("id", version=2, migrations=[migration(2, add_field("age", 0))],
        queries=[named_query("Dog.older", entity_field("age") >= parameter("age"))])
@dataclass(frozen=True)
class Dog: ...
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, Generic, Self, TypeVar

from cordapp.errors import CordaRuntimeError, HostApi
from cordapp.registry import ENTITIES, FLOW_SIDE, DeclarationError, name_of, register
from cordapp.schema import dumps, form_of, plain_json, schema_of
from cordapp.services import Service, read_pages

E = TypeVar("E")
ClassT = TypeVar("ClassT", bound=type[Any])
_PAGE = 500


class Condition:
    """What a query asks of an entity; combine with `&`, `|` and `~`."""

    def __init__(self, json: dict[str, Any]) -> None:
        self.json = json

    def __and__(self, other: "Condition") -> "Condition":
        return Condition({"all": [self.json, other.json]})

    def __or__(self, other: "Condition") -> "Condition":
        return Condition({"any": [self.json, other.json]})

    def __bool__(self) -> bool:
        raise TypeError("combine conditions with &, | and ~, in parentheses")

    def __invert__(self) -> "Condition":
        return Condition({"not": self.json})


class Operand:
    """A field or a parameter; compared with another, or with a constant, it is a condition."""

    __hash__ = object.__hash__

    def __init__(self, json: dict[str, Any]) -> None:
        self.json = json

    def _compared(self, name: str, other: object) -> Condition:
        right = other.json if isinstance(other, Operand) else {"value": plain_json(other)}
        return Condition({name: [self.json, right]})

    def __eq__(self, other: object) -> Condition:  # type: ignore[override]
        return self._compared("equal", other)

    def __ne__(self, other: object) -> Condition:  # type: ignore[override]
        return self._compared("not-equal", other)

    def __lt__(self, other: object) -> Condition:
        return self._compared("less", other)

    def __le__(self, other: object) -> Condition:
        return self._compared("at-most", other)

    def __gt__(self, other: object) -> Condition:
        return self._compared("greater", other)

    def __ge__(self, other: object) -> Condition:
        return self._compared("at-least", other)

    def like(self, pattern: "str | Operand") -> Condition:
        """`%` stands for any text, `_` for one character; letter case counts."""
        return self._compared("like", pattern)

    def within(self, values: "Operand") -> Condition:
        """Whether it is one of the list that a parameter has."""
        return self._compared("in", values)

    def is_null(self) -> Condition:
        """Whether there is no value."""
        return Condition({"null": self.json})


def entity_field(name: str) -> Operand:
    """A field of the entity by its name in JSON; dots lead into objects.

    >>> (entity_field("owner.name") == "Alice").json
    {'equal': [{'field': 'owner.name'}, {'value': 'Alice'}]}
    """
    return Operand({"field": name})


def parameter(name: str) -> Operand:
    """A value that the caller of the query gives."""
    return Operand({"parameter": name})


def named_query(
    name: str, where: Condition | None = None, *, order_by: Sequence[str] = ()
) -> dict[str, Any]:
    """A query of an entity: ordered by `order_by` (`-name`: descending), then by key.

    >>> cheap = (entity_field("price") <= parameter("most")) & ~entity_field("sold").is_null()
    >>> named_query("cheap", cheap, order_by=["-price"])["orderBy"]
    [{'field': 'price', 'descending': True}]
    """
    order = [{"field": f.removeprefix("-"), "descending": f.startswith("-")} for f in order_by]
    return {"name": name, "where": None if where is None else where.json, "orderBy": order}


def migration(version: int, *steps: dict[str, Any]) -> dict[str, Any]:
    """What leads stored entities from `version` - 1 to `version`.

    >>> migration(2, rename_field("name", "full_name"), add_field("age", 0))["version"]
    2
    """
    return {"version": version, "steps": list(steps)}


def add_field(name: str, default: object) -> dict[str, Any]:
    """A step that gives entities a field that they do not have."""
    return {"op": "add", "field": name, "default": plain_json(default)}


def rename_field(name: str, to: str) -> dict[str, Any]:
    """A step that gives a field another name."""
    return {"op": "rename", "field": name, "to": to}


def drop_field(name: str) -> dict[str, Any]:
    """A step that removes a field."""
    return {"op": "drop", "field": name}


def entity(
    key: str | Sequence[str],
    *,
    version: int = 1,
    migrations: Sequence[dict[str, Any]] = (),
    queries: Sequence[dict[str, Any]] = (),
    indexes: Sequence[Sequence[str]] = (),
) -> Callable[[ClassT], ClassT]:
    """Class decorator: a dataclass that `persistence_service` stores under its fields `key`.

    Args:
        key: the field, or the fields of a composite key.
        version: of the class's fields; a change needs a new one.
        migrations: one for each version from 2 on.
        queries: what `PersistenceService.query` can ask for.
        indexes: fields by which queries are to be fast.
    """
    if isinstance(key, type):
        raise DeclarationError(f'{name_of(key)}: write @entity("the-key") above')
    more = {"migrations": migrations, "queries": queries, "indexes": [list(i) for i in indexes]}
    declared = {name: list(value) for name, value in more.items() if value}

    def mark(cls: ClassT) -> ClassT:
        cls.__entity_key__ = (key,) if isinstance(key, str) else tuple(key)
        cls.__entity__ = {"version": version, **declared} if version != 1 else declared
        register(ENTITIES, cls)
        return cls

    return mark


def _described() -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "key": cls.__entity_key__[0] if len(cls.__entity_key__) == 1 else cls.__entity_key__,
            "schema": schema_of(cls),
            **cls.__entity__,
        }
        for name, cls in sorted(ENTITIES.items())
    ]


FLOW_SIDE["entities"] = _described


class ResultSet(Generic[E]):
    """A page of results, and the way to the next one."""

    def __init__(self, query: "PagedQuery[E]", results: list[E], *, more: bool) -> None:
        self._query = query
        self.results = results
        self._more = more

    def has_next(self) -> bool:
        """Whether there are more results."""
        return self._more

    def next(self) -> list[E]:
        """Go to the next page and answer its results."""
        found = self._query.set_offset(self._query.offset + len(self.results)).execute()
        self.results, self._more = found.results, found.has_next()
        return self.results


class PagedQuery(Generic[E]):
    """A query and the part of its results that is wanted."""

    def __init__(self, api: HostApi, cls: type[E], request: dict[str, Any]) -> None:
        self._api, self._cls, self._request = api, cls, request
        self.offset, self._limit = 0, _PAGE

    def set_limit(self, limit: int) -> Self:
        """How many results a page has at most."""
        self._limit = limit
        return self

    def set_offset(self, offset: int) -> Self:
        """How many results are left out before the first."""
        self.offset = offset
        return self

    def execute(self) -> ResultSet[E]:
        """Ask for the page.

        Raises:
            CordaRuntimeError: `request-invalid`, a negative offset or limit, or too large a limit.
        """
        request = {**self._request, "offset": self.offset, "limit": self._limit}
        page: Any = self._api.call("persistence", "read", request)
        return ResultSet(self, _decoded(self._cls, page["results"]), more=page["more"])


class ParameterizedQuery(PagedQuery[E]):
    """A named query of an entity."""

    def set_parameter(self, name: str, value: object) -> Self:
        """Give a parameter its value."""
        self._request["parameters"][name] = plain_json(value)
        return self

    def set_parameters(self, values: dict[str, object]) -> Self:
        """Give several parameters their values."""
        for name, value in values.items():
            self.set_parameter(name, value)
        return self


class PersistenceService(Service):
    """Entities in the virtual node's own storage."""

    def persist(self, *entities: object, dedup_id: str | None = None) -> None:
        """Store new entities.

        Raises:
            EntityExistsError: one of the keys is stored already; nothing is stored.
        """
        self._write("persist", entities, dedup_id)

    def merge(self, *entities: E) -> list[E]:
        """Store entities, new or known; answer them as stored."""
        stored = self._write("merge", entities, None)
        return [_decoded(type(e), [value])[0] for e, value in zip(entities, stored, strict=True)]

    def remove(self, *entities: object) -> None:
        """Remove entities; unknown ones are ignored."""
        self._write("remove", entities, None)

    def find(self, cls: type[E], key: object) -> E | None:
        """The entity with this key (a tuple if it is composite), or None."""
        return self.find_many(cls, [key])[0]

    def find_many(self, cls: type[E], keys: Iterable[object]) -> list[E | None]:
        """The entities with these keys, in that order."""
        wire = [_wire_key(key) for key in keys]
        request = {"op": "find", "type": _entity_name(cls), "keys": wire}
        found = self._call("persistence", "read", request)
        return [None if value is None else _decoded(cls, [value])[0] for value in found]

    def find_all(self, cls: type[E]) -> list[E]:
        """All entities of a class, ordered by key."""
        query = {"op": "find-all", "type": _entity_name(cls)}
        return _decoded(cls, read_pages(self._api, "persistence", "read", query))

    def pages(self, cls: type[E]) -> PagedQuery[E]:
        """All entities of a class, ordered by key, page by page."""
        return PagedQuery(self._api, cls, {"op": "find-all", "type": _entity_name(cls)})

    def query(self, name: str, cls: type[E]) -> ParameterizedQuery[E]:
        """A query that the class declares."""
        request = {"op": "query", "type": _entity_name(cls), "query": name, "parameters": {}}
        return ParameterizedQuery(self._api, cls, request)

    def _write(self, op: str, entities: Sequence[Any], dedup_id: str | None) -> Any:
        rows = [
            {
                "type": _entity_name(type(e)),
                "key": _wire_key(tuple(getattr(e, name) for name in type(e).__entity_key__)),
                "value": None if op == "remove" else form_of(type(e)).encode(e, "$"),
            }
            for e in entities
        ]
        request = {"op": op, "entities": rows, "dedupId": dedup_id}
        return self._call("persistence", "write", request)


def _entity_name(cls: Any) -> str:
    """The name under which the entities of a class are stored.

    Raises:
        CordaRuntimeError: `entity-type-unknown`, it is no class of entities.
    """
    if not isinstance(cls, type):
        raise CordaRuntimeError("entity-type-unknown", f"{cls!r} is no class of entities")
    if not hasattr(cls, "__entity_key__"):
        problem = f"{name_of(cls)} is no entity: write @entity(..) above the class"
        raise CordaRuntimeError("entity-type-unknown", problem)
    return name_of(cls)


def _decoded(cls: type[E], values: Iterable[Any]) -> list[E]:
    form = form_of(cls)
    return [form.decode(value, "$") for value in values]


def _wire_key(key: object) -> Any:
    """A single key is its text; a composite one a list that keeps its types."""
    parts = [_key_part(part) for part in (key if isinstance(key, tuple) else (key,))]
    if len(parts) > 1:
        return parts
    return parts[0] if isinstance(parts[0], str) else dumps(parts[0])


def _key_part(part: object) -> Any:
    """Equal parts of keys have equal forms."""
    if isinstance(part, Decimal) and part.is_finite():
        part = part.normalize() + 0  # of equal Decimals the shortest, and no negative zero
    plain = plain_json(part)
    return int(plain) if isinstance(plain, float) and plain.is_integer() else plain
