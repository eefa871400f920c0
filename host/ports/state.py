"""States: versioned records with optimistic locking and an optional due time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from host.domain.errors import ConflictError
from host.domain.ids import EpochMs


class StateConflictError(ConflictError):
    """A state or an offset is not at the version that the writer had read."""

    code = "state-conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRecord:
    """A stored state. `version` counts its writes from 1."""

    key: str
    version: int
    value: bytes
    due_at: EpochMs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StateWrite:
    """A write of one state; `value` None deletes. `expected` 0 means that it must not exist."""

    key: str
    value: bytes | None
    expected: int
    due_at: EpochMs | None = None


class States(Protocol):
    """Reading side of the states."""

    def get(self, key: str) -> StateRecord | None: ...

    def scan(self, prefix: str) -> Sequence[StateRecord]:
        """All states whose key starts with `prefix`, by key."""
        ...

    def count_lasting(self, prefix: str) -> int:
        """How many states without a due time have a key that starts with `prefix`."""
        ...

    def due(self, now: EpochMs, limit: int) -> Sequence[StateRecord]:
        """States whose due time is at or before `now`, earliest first."""
        ...

    def next_due(self) -> EpochMs | None:
        """The earliest due time of all states."""
        ...
