"""Requests of a uniqueness check, what is known of transactions and states, and its results.

Source: corda-runtime-os `UniquenessCheckRequestInternal.kt`, `UniquenessCheckError*.kt`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from host.domain.ids import ShortHash
from host.domain.json import JsonObject
from host.ledger.core.model import StateRef
from host.ledger.core.notary_errors import ErrorKind


class Check(StrEnum):
    """`WRITE` spends the inputs; `READ` asks for the result of an earlier `WRITE`."""

    WRITE = "WRITE"
    READ = "READ"


@dataclass(frozen=True, slots=True, kw_only=True)
class UniquenessRequest:
    """One transaction as the notary must know it.

    Attributes:
        id: the transaction's identifier.
        inputs: states to be spent.
        references: states that must exist unspent.
        output_count: how many states the transaction creates.
        lower: instant from which the transaction may be notarised; None: always.
        upper: instant before which it may be; a request without one is malformed.
        originator: the name of the member that asked.
    """

    check: Check
    id: str
    inputs: tuple[StateRef, ...]
    references: tuple[StateRef, ...]
    output_count: int
    lower: str | None
    upper: str | None
    originator: str

    def refs(self) -> tuple[StateRef, ...]:
        return (*self.inputs, *self.references)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why a transaction was not notarised. `details` are Corda's fields of the error."""

    kind: ErrorKind
    message: str
    details: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of one request; accepted if there is no rejection."""

    id: str
    rejection: Rejection | None = None

    @property
    def is_accepted(self) -> bool:
        return self.rejection is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What is stored of the transactions and states that requests name.

    Attributes:
        results: results by transaction identifier; one that is absent was never seen.
        outputs: how many outputs each accepted transaction has, by its identifier.
        spent: the spending transaction of each spent state.
    """

    results: Mapping[str, Result]
    outputs: Mapping[str, int]
    spent: Mapping[StateRef, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is to be stored of a request that was decided: its result, outputs and spent states."""

    request: UniquenessRequest
    result: Result


class Uniqueness(Protocol):
    """Decides which transactions spend the states of notary nodes. Thread-safe."""

    def check(self, node: ShortHash, request: UniquenessRequest) -> Result:
        """The result of one request: durable before it is returned, and the same for ever.

        Args:
            node: the notary node; its states are its own.
            request: of a client.

        Raises:
            StorageError: the notary's database is missing, damaged, or cannot be written; nothing
                has changed, unless the message says that the outcome is unknown. To ask again is
                always safe.
            QuotaExceededError: the notary's database would grow beyond its limit.
        """
        ...
