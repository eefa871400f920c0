"""States: versioned records with optimistic locking and an optional due time.

A state with a due time names the consumer group that handles it then; in the group, the owner of
its partition does. A state may also have such a place without a due time.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from host.domain.accounts import Charge
from host.domain.errors import ConflictError
from host.domain.ids import EpochMs
from host.ports.bus import DuePlace, Placement
from host.ports.glances import GlanceWrite


class StateConflictError(ConflictError):
    """A state, an offset or a waiting record has changed since the writer read it."""

    code = "state-conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRecord:
    """A stored state. `version` counts its writes from 1."""

    key: str
    version: int
    value: bytes
    due_at: EpochMs | None = None
    place: DuePlace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StateWrite:
    """A write of one state; `value` None deletes.

    `expected` 0 means that it must not exist, None that any version or none may exist: only for
    deleting states that no other step changes any more. `charge` is the account that it counts to;
    None leaves the account unchanged. The keys of one unit's writes are distinct. A `due_at` needs
    a `place`. `glance` is the list entry of the flow whose status this is; it is deleted with the
    state.
    """

    key: str
    value: bytes | None
    expected: int | None
    due_at: EpochMs | None = None
    place: Placement | None = None
    glance: GlanceWrite | None = None
    charge: Charge | None = None

    def __post_init__(self) -> None:
        """Refuse a due time without a place: no owner would handle it."""
        if self.expected is None and self.value is not None:
            raise ValueError(f"state {self.key!r} is written over whatever is there")
        if self.due_at is not None and self.place is None:
            raise ValueError(f"state {self.key!r} has a due time, but no group that looks at it")


class States(Protocol):
    """Reading side of the states."""

    @property
    def partitions(self) -> int:
        """The number of partitions, which count from 0; it never changes in a store."""
        ...

    def get(self, key: str) -> StateRecord | None: ...

    def get_many(self, keys: Collection[str]) -> Mapping[str, StateRecord]:
        """The existing states of the given keys, in one query; at most 1,000 keys."""
        ...

    def scan(self, prefix: str, limit: int | None = None) -> Sequence[StateRecord]:
        """The states whose key starts with `prefix`, by key: all, or the first `limit`."""
        ...

    def due(
        self, group: str, now: EpochMs, limit: int, partitions: Collection[int]
    ) -> Sequence[StateRecord]:
        """States of `group` in `partitions` that are due at or before `now`, earliest first."""
        ...

    def next_due(self, group: str, partitions: Collection[int]) -> EpochMs | None:
        """The earliest due time of the group's states in `partitions`."""
        ...

    def placed(self, group: str, partitions: Collection[int]) -> Sequence[StateRecord]:
        """All states of `group` in `partitions`, with a due time or without, by key."""
        ...
