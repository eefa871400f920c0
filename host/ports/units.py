"""A unit of work: everything that one step writes, committed as one durable transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from host.domain.accounts import Charge
from host.domain.ids import FlowId
from host.ports.accounts import Accounts
from host.ports.bus import LogSource, NewRecord, TopicPartition
from host.ports.clock import TwoClocks
from host.ports.glances import Glances
from host.ports.groups import Fence
from host.ports.state import States, StateWrite
from host.ports.topics import Logs, TopicUpkeep
from host.ports.work import Backlogs, Done, WorkSource


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRow:
    """One answered call of a flow. `number` counts from 0; `charge` is of the whole journal."""

    flow_id: FlowId
    number: int
    value: bytes
    charge: Charge | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A journal counts to another account from now on."""

    flow_id: FlowId
    charge: Charge


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumed:
    """Records `start` to `start + count - 1` of a log's partition are done for the group.

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

    Attributes:
        passed: journals that another account bears.
        forget: flows whose journals are deleted.
        done: work that is deleted; each of its records must still be there.
        consumed: records of logs that a group has done.
        fences: prove that the writer owns what it writes to.
    """

    states: tuple[StateWrite, ...] = ()
    journal: tuple[JournalRow, ...] = ()
    passed: tuple[Passed, ...] = ()
    forget: tuple[FlowId, ...] = ()
    records: tuple[NewRecord, ...] = ()
    done: tuple[Done, ...] = ()
    consumed: tuple[Consumed, ...] = ()
    fences: tuple[Fence, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all values that it writes."""
        size = 0
        for write in self.states:
            if write.value is not None:
                size += len(write.value)
        for row in self.journal:
            size += len(row.value)
        for record in self.records:
            size += len(record.value)
        return size

    def owned(self) -> tuple[Fence, ...]:
        """What the writer must own, each once."""
        found = (*self.fences, *(consumed.fence for consumed in self.consumed))
        return tuple(dict.fromkeys(fence for fence in found if fence is not None))


class Journals(Protocol):
    """Reading side of the journals."""

    def journal(self, flow_id: FlowId) -> Sequence[bytes]:
        """Values of the flow's journal rows, in order."""
        ...

    def journal_rows(self, flow_id: FlowId, first: int, limit: int) -> Sequence[bytes]:
        """Values of at most `limit` of the flow's journal rows, in order, from number `first`."""
        ...

    def journal_bytes(self, flow_id: FlowId) -> int:
        """How many bytes the values of the flow's journal rows have together."""
        ...


class Commits(Protocol):
    """Writing side of everything."""

    def commit(self, unit: Unit) -> None:
        """Write all of `unit` durably, or nothing of it.

        Raises:
            FencedError: it is of a partition that was given to another owner.
            StateConflictError: a state, a waiting record, an offset or a journal row is not as the
                unit expects.
            StorageError: the store cannot be written.
        """
        ...


class StateStore(States, Journals, Glances, Accounts, Commits, Protocol):
    """What flows are kept in: a step reads it, and writes what has changed as one transaction."""


class FlowStore(StateStore, WorkSource, LogSource, Backlogs, Logs, TopicUpkeep, Protocol):
    """All roles in one adapter, so that a unit is one transaction; its users name what they use."""

    @property
    def time(self) -> TwoClocks:
        """The store's time: of `written_at`, heartbeats and due times.

        Whatever two processes compare goes by it. Of an embedded store it is the host's clock.
        """
        ...

    def close(self) -> None: ...
