"""Vault-named queries as flows run them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Generic, Self, TypeVar

from cordapp.contracts import state_and_ref_from_json
from cordapp.errors import HostApi
from cordapp.registry import QUERIES
from cordapp.schema import plain_json, to_json
from cordapp.vault import VaultNamedQuery, query_name

R = TypeVar("R")
_PAGE = 100
_PAGES_MAX = 5
"""Pages of the vault that are read to fill one of results, of which `filter` leaves some out."""


class VaultResultSet(Generic[R]):
    """A page of results, and the way to the next one."""

    def __init__(
        self, query: "VaultNamedParameterizedQuery[R]", results: list[R], after: str | None
    ) -> None:
        self._query = query
        self.results = results
        self._after = after

    def has_next(self) -> bool:
        """Whether there may be more results; the next page can be empty."""
        return self._after is not None

    def next(self) -> list[R]:
        """Go to the next page and answer its results; none after the last one."""
        if self._after is None:
            self.results = []
        else:
            self.results, self._after = self._query.page(self._after)
        return self.results


class VaultNamedParameterizedQuery(Generic[R]):
    """A query with its parameters. Every `set` answers the query itself."""

    def __init__(self, api: HostApi, name: str) -> None:
        self._api = api
        self._name = name
        self._parameters: dict[str, Any] = {}
        self._limit = _PAGE
        self._created_before: str | None = None
        declared = [cls for cls in QUERIES.values() if query_name(cls) == name]
        self._query: VaultNamedQuery = declared[0]() if declared else VaultNamedQuery()

    def set_limit(self, limit: int) -> Self:
        """How many results a page has at most, 1 to 1,000; 100 if nothing is set."""
        self._limit = limit
        return self

    def set_parameter(self, name: str, value: object) -> Self:
        """Give a parameter its value."""
        self._parameters[name] = plain_json(value)
        return self

    def set_parameters(self, values: Mapping[str, object]) -> Self:
        """Give several parameters their values."""
        for name, value in values.items():
            self.set_parameter(name, value)
        return self

    def set_created_timestamp_limit(self, limit: datetime) -> Self:
        """Only states that were recorded before `limit`; by default those before the first page."""
        self._created_before = to_json(limit, datetime)
        return self

    def execute(self) -> VaultResultSet[R]:
        """Ask for the first page.

        Raises:
            CordaRuntimeError: `query-unknown`, `query-parameter`, or `query-too-slow`.
        """
        return VaultResultSet(self, *self.page(None))

    def count(self) -> int:
        """How many states the vault finds; `filter`, `map` and `collect` are not applied."""
        return int(self._ask(None, self._limit, "count"))

    def page(self, after: str | None) -> tuple[list[R], str | None]:
        """The results after a place, and the place after them; None at the end."""
        results: list[Any] = []
        for _ in range(_PAGES_MAX):
            answer = self._ask(after, self._limit - len(results), "states")
            found = [state_and_ref_from_json(entry) for entry in answer["results"]]
            kept = [each for each in found if self._query.filter(each, self._parameters)]
            results += [self._query.map(each, self._parameters) for each in kept]
            after = answer["next"]
            if after is None or len(results) >= self._limit:
                break
        collected = self._query.collect(results, self._parameters)
        return collected.results, None if collected.is_done else after

    def _ask(self, after: str | None, limit: int, results: str) -> Any:
        request = {
            "op": "named",
            "name": self._name,
            "parameters": self._parameters,
            "limit": limit,
            "after": after,
            "createdBefore": self._created_before,
            "results": results,
        }
        return self._api.call("ledger", "query", request)
