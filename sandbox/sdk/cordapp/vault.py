"""What a contract's package says about its states in the vaults of nodes.

Queries by name, the JSON that queries see, indexes, and which states are tokens. A node runs these
functions of its own CPI when it records a transaction; they see the transaction and nothing else.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Generic, TypeVar

from cordapp.checks import constructor_problems, method_problems, problem
from cordapp.contracts import (
    ContractState,
    StateAndRef,
    VisibilityChecker,
    contract_of,
    state_and_refs_of_outputs,
)
from cordapp.registry import QUERIES, VAULT_SIDE, name_of, register
from cordapp.schema import plain_json

S = TypeVar("S", bound=ContractState)
StateT = TypeVar("StateT", bound="type[ContractState]")
R = TypeVar("R")
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class VaultNamedQuery:
    """A query of the vault that flows run by name. Subclasses need no constructor arguments.

    `filter`, `map` and `collect` are applied in this order to what the vault finds, in the flow
    that asks.

    >>> class Large(VaultNamedQuery):
    ...     name = "Coin.large"
    ...     where_json = (
    ...         "WHERE (visible_states.custom_representation -> 'coins.Coin' ->> 'amount')::numeric"
    ...         " >= :least"
    ...     )
    ...     order_by = [("visible_states.created", "DESC")]
    ...     unconsumed_only = True
    ...
    ...     def map(self, found, parameters):
    ...         return found.state.amount
    """

    name: ClassVar[str] = ""
    """By which flows know it; the class's name if it is empty."""
    where_json: ClassVar[str | None] = None
    """The condition, from `WHERE` on (docs/reference/vault-queries.md); None: all states."""
    order_by: ClassVar[Sequence[str | tuple[str, str]]] = ()
    """Expressions, each alone or with `ASC` or `DESC`."""
    unconsumed_only: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        register(QUERIES, cls)

    def filter(self, found: StateAndRef[Any], parameters: Mapping[str, Any]) -> bool:
        """Whether a state that the vault finds is a result."""
        del found, parameters
        return True

    def map(self, found: StateAndRef[Any], parameters: Mapping[str, Any]) -> Any:
        """What the result is of a state."""
        del parameters
        return found

    def collect(self, results: list[Any], parameters: Mapping[str, Any]) -> "Collected[Any]":
        """What the results are of a page's results; `is_done`: no more pages are wanted."""
        del parameters
        return Collected(results)


@dataclass(frozen=True)
class Collected(Generic[R]):
    """Results of a query's `collect`."""

    results: list[R]
    is_done: bool = False


@dataclass(frozen=True)
class UtxoToken:
    """A state as a token, which flows may claim by amount.

    Attributes:
        amount: positive, at most 38 digits, 18 of them behind the point.
        symbol: what is counted, such as a currency.
        issuer_hash: of who issued it (`secure_hash`).
        token_type: the state's type if it is None.
        tag, owner_hash: by which claims may choose.
        priority: the smaller, the earlier it is claimed; None comes last.
    """

    amount: Decimal
    symbol: str
    issuer_hash: str
    token_type: str | None = None
    tag: str | None = None
    owner_hash: str | None = None
    priority: int | None = None


def secure_hash(text: str) -> str:
    """The SHA-256 of a text, as Corda writes it.

    >>> secure_hash("O=Bank, L=London, C=GB")[:15]
    'SHA-256:85FE082'
    """
    return f"SHA-256:{hashlib.sha256(text.encode()).hexdigest().upper()}"


def vault_json(cls: type[ContractState]) -> Callable[[FunctionT], FunctionT]:
    """Function decorator: the function answers the JSON of states of `cls` for queries.

    It takes a state and answers anything that has a JSON form. States of subclasses have the JSON
    of each of their classes that has such a function, each under its class's name.
    """
    return _of_class(cls, "__vault_json__")


def token_observer(cls: type[ContractState]) -> Callable[[FunctionT], FunctionT]:
    """Function decorator: the function answers which token a state of `cls` is.

    It takes a `StateAndRef` and answers a `UtxoToken`, or None if the state is no token.
    """
    return _of_class(cls, "__token_observer__")


def vault_index(*fields: str) -> Callable[[StateT], StateT]:
    """Class decorator of a state: queries that compare these fields are to be fast.

    Fields are names in the JSON of the state for queries; dots lead into objects.

    >>> @vault_index("owner.name", "amount")
    ... class Coin: pass
    >>> Coin.__vault_indexes__
    [['owner.name', 'amount']]
    """

    def mark(cls: StateT) -> StateT:
        kept: Any = cls
        kept.__vault_indexes__ = [list(fields), *cls.__dict__.get("__vault_indexes__", ())]
        return cls

    return mark


def _of_class(cls: type[ContractState], attribute: str) -> Callable[[FunctionT], FunctionT]:
    def mark(function: FunctionT) -> FunctionT:
        setattr(cls, attribute, staticmethod(function))
        return function

    return mark


def _described_queries() -> list[dict[str, Any]]:
    """Queries as `describe` answers them, by name."""
    found = [
        {
            "name": query_name(cls),
            "where": cls.where_json,
            "orderBy": [_order(each) for each in cls.order_by],
            "unconsumedOnly": cls.unconsumed_only,
        }
        for cls in QUERIES.values()
    ]
    return sorted(found, key=lambda query: str(query["name"]))


def _query_problems() -> Iterator[str]:
    """What is wrong with queries."""
    for _, cls in sorted(QUERIES.items()):
        yield from _problems_of(cls)


def query_name(cls: type[Any]) -> str:
    """By which name flows run a query."""
    return cls.name or name_of(cls)


def _described_state(cls: type[Any]) -> dict[str, Any]:
    """What this module's decorators say of a state, as `describe` answers it."""
    return {
        "json": any("__vault_json__" in base.__dict__ for base in cls.__mro__),
        "token": hasattr(cls, "__token_observer__"),
        "indexes": cls.__dict__.get("__vault_indexes__", []),
    }


def _record(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a node keeps of a transaction's outputs.

    Args:
        request: `transaction`, the indexes of its `outputs`, and `myKeys` of the node.
    """
    outputs = state_and_refs_of_outputs(request["transaction"])
    checker = VisibilityChecker(frozenset(request["myKeys"]))
    return [_recorded(outputs[index], checker) for index in request["outputs"]]


def _recorded(found: StateAndRef[Any], checker: VisibilityChecker) -> dict[str, Any]:
    state = found.state
    contract = contract_of(type(state))
    assert contract is not None  # noqa: S101  # checked where the state was decoded
    is_visible = bool(contract().is_visible(state, checker))
    return {
        "index": found.ref.index,
        "visible": is_visible,
        "json": dict(_representations(state)) or None if is_visible else None,
        "token": _token(found) if is_visible else None,
    }


def _representations(state: ContractState) -> Iterator[tuple[str, Any]]:
    for cls in type(state).__mro__:
        function = cls.__dict__.get("__vault_json__")
        if function is not None:
            yield name_of(cls), plain_json(function.__func__(state))


def _token(found: StateAndRef[Any]) -> dict[str, Any] | None:
    observer = getattr(type(found.state), "__token_observer__", None)
    token: UtxoToken | None = None if observer is None else observer(found)
    if token is None:
        return None
    return {
        "tokenType": token.token_type or name_of(type(found.state)),
        "issuerHash": token.issuer_hash,
        "symbol": token.symbol,
        "amount": format(token.amount, "f"),
        "tag": token.tag,
        "ownerHash": token.owner_hash,
        "priority": token.priority,
    }


def _order(each: str | tuple[str, str]) -> dict[str, Any]:
    expression, direction = (each, "ASC") if isinstance(each, str) else each
    return {"expression": expression, "descending": direction.upper() == "DESC"}


def _problems_of(cls: Any) -> Iterator[str]:
    if not isinstance(cls.where_json, str | None):
        yield problem("is no text, which begins with WHERE", cls, "where_json")
    if isinstance(cls.order_by, str) or not all(map(_is_order, cls.order_by)):
        yield problem('lists expressions, each a text or (text, "ASC" or "DESC")', cls, "order_by")
    for name, first in (("filter", "found"), ("map", "found"), ("collect", "results")):
        yield from method_problems(cls, name, [first, "parameters"])
    yield from constructor_problems(cls)


def _is_order(each: object) -> bool:
    if isinstance(each, str):
        return True
    return (
        isinstance(each, tuple | list)
        and len(each) == 2  # expression and direction
        and isinstance(each[0], str)
        and str(each[1]).upper() in ("ASC", "DESC")
    )


VAULT_SIDE["check"] = _query_problems
VAULT_SIDE["queries"] = _described_queries
VAULT_SIDE["state"] = _described_state
VAULT_SIDE["record"] = _record
