"""The `persistence` interface of a simulated node: entities by type and key."""

from collections.abc import Sequence
from typing import Any

from host.ports.capability import CapabilityError


class EntityStore:
    """Entities of one node. Values go in and out as JSON."""

    def __init__(self, entity_types: frozenset[str]) -> None:
        self._types = entity_types
        self._rows: dict[tuple[str, str], Any] = {}
        self._done: dict[str, list[Any]] = {}

    def write(self, request: dict[str, Any], flow_id: str) -> list[Any]:
        dedup = request["dedupId"] and f"{flow_id}-{request['dedupId']}"
        if dedup in self._done:
            return self._done[dedup]
        keys = [(self._known(e["type"]), e["key"]) for e in request["entities"]]
        op = request["op"]
        for key in keys if op == "persist" else ():
            if key in self._rows or keys.count(key) > 1:
                raise CapabilityError("entity-exists", f"{key[0]} with key {key[1]!r} exists")
        for key, entity in zip(keys, request["entities"], strict=True):
            if op == "remove":
                self._rows.pop(key, None)
            else:
                self._rows[key] = entity["value"]
        stored = [self._rows.get(key) for key in keys]
        if dedup:
            self._done[dedup] = stored
        return stored

    def read(self, request: dict[str, Any]) -> Any:
        kind = self._known(request["type"])
        if request["op"] == "find":
            return [self._rows.get((kind, key)) for key in request["keys"]]
        return page(self.all(kind), request)

    def all(self, kind: str) -> list[Any]:
        """Values of a type, ordered by key."""
        return [value for (t, _), value in sorted(self._rows.items(), key=_by_key) if t == kind]

    def _known(self, kind: str) -> str:
        if kind not in self._types:
            raise CapabilityError("entity-type-unknown", f"{kind} is no entity of this CorDapp")
        return kind


def _by_key(row: tuple[tuple[str, str], Any]) -> tuple[str, str]:
    return row[0]


def page(rows: Sequence[Any], request: dict[str, Any]) -> dict[str, Any]:
    """The part of `rows` that a paged query asks for."""
    start, limit = request["offset"], request["limit"]
    return {"results": rows[start : start + limit], "more": len(rows) > start + limit}
