"""A unit of work: everything that one step writes, committed as one durable transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from host.domain.ids import EpochMs, FlowId
from host.ports.bus import Bus, NewRecord, TopicPartition
from host.ports.groups import Fence, Groups
from host.ports.state import States, StateWrite
from host.ports.topics import Topics


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRow:
    """One answered call of a flow. `number` counts from 0."""

    flow_id: FlowId
    number: int
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumed:
    """Records `start` to `start + count - 1` of a partition are done for the group.

    Both count offsets: gaps that deleted records leave are part of `count`.

    `epoch` is that of the consumer's ownership; None where the group has no members.
    """

    group: str
    source: TopicPartition
    start: int
    count: int
    epoch: int | None = None

    @property
    def fence(self) -> Fence | None:
        """What proves that the consumer still owns the partition."""
        if self.epoch is None:
            return None
        return Fence(group=self.group, partition=self.source.partition, epoch=self.epoch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What a step writes.

    `forget` names flows whose journals are deleted. `fence` proves the ownership of a writer that
    consumes nothing yet.
    """

    states: tuple[StateWrite, ...] = ()
    journal: tuple[JournalRow, ...] = ()
    forget: tuple[FlowId, ...] = ()
    records: tuple[NewRecord, ...] = ()
    consumed: tuple[Consumed, ...] = ()
    fence: Fence | None = None

    def fences(self) -> tuple[Fence, ...]:
        """What the unit must own."""
        found = (self.fence, *(consumed.fence for consumed in self.consumed))
        return tuple(fence for fence in found if fence is not None)

    def touched(self) -> frozenset[TopicPartition]:
        """Partitions that get records."""
        return frozenset(record.target for record in self.records)

    def next_due(self) -> EpochMs | None:
        """The earliest due time that the unit writes."""
        return min((s.due_at for s in self.states if s.due_at is not None), default=None)


class FlowStore(Bus, Topics, Groups, States, Protocol):
    """Bus, groups, states and journals in one place, so that a unit is one transaction."""

    def commit(self, unit: Unit) -> None:
        """Write all of `unit` durably, or nothing of it.

        Raises:
            FencedError: it is of a partition that was given to another owner.
            StateConflictError: a state, an offset or a journal row is not as the unit expects.
            StorageError: the store cannot be written.
        """
        ...

    def journal(self, flow_id: FlowId) -> Sequence[bytes]:
        """Values of the flow's journal rows, in order."""
        ...

    def close(self) -> None: ...
