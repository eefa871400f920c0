"""A unit of work: everything that one step writes, committed as one durable transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from host.domain.accounts import Charge
from host.domain.ids import FlowId, ShortHash
from host.ports.accounts import Accounts
from host.ports.bus import LogSource, NewRecord, TopicPartition
from host.ports.clock import TwoClocks
from host.ports.glances import Glances
from host.ports.groups import Fence
from host.ports.node_records import NodeRecords
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
    """A journal is charged to another account from now on."""

    flow_id: FlowId
    charge: Charge


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumed:
    """The group has consumed records `start` to `start + count - 1` of a log's partition.

    Both count offsets: gaps that deleted records leave are part of `count`.

    `epoch` is the epoch of the consumer's ownership; None if the group has no members.
    `is_dropped`: all records of the partition before `start + count` are deleted.
    """

    group: str
    source: TopicPartition
    start: int
    count: int
    epoch: int | None = None
    is_dropped: bool = False

    @property
    def fence(self) -> Fence | None:
        """Proof that the consumer still owns the partition."""
        if self.epoch is None:
            return None
        return Fence(group=self.group, partition=self.source.partition, epoch=self.epoch)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Dropped:
    """A record of a log that is deleted, and must still exist."""

    source: TopicPartition
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """The writes of a step.

    Attributes:
        passed: journals that are charged to another account.
        forget: flows whose journals are deleted.
        done: work that is deleted; each of its records must still exist.
        consumed: records of logs that a group has consumed.
        dropped: records of logs that are deleted by themselves.
        fences: proofs that the writer owns the partitions that it writes to.
    """

    states: tuple[StateWrite, ...] = ()
    journal: tuple[JournalRow, ...] = ()
    passed: tuple[Passed, ...] = ()
    forget: tuple[FlowId, ...] = ()
    records: tuple[NewRecord, ...] = ()
    done: tuple[Done, ...] = ()
    consumed: tuple[Consumed, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    fences: tuple[Fence, ...] = ()

    @property
    def node(self) -> ShortHash | None:
        """The node whose work it is, by what it does and what it is charged with; None if nobody's.

        One node's units must not delay another's.
        """
        for done in self.done:
            if done.queue.node:
                return done.queue.node
        charges = (*(w.charge for w in self.states), *(row.charge for row in self.journal))
        for charge in charges:
            if charge is not None:
                return charge.node
        return next(
            (each for record in self.records if (each := record.node or record.owner)), None
        )

    @property
    def size(self) -> int:
        """Bytes of all values that it writes."""
        return sum(map(len, self.values()))

    def values(self) -> Iterator[bytes]:
        """The values of its states (nothing for a deletion), journal rows and records, in order."""
        for write in self.states:
            yield write.value or b""
        for row in self.journal:
            yield row.value
        for record in self.records:
            yield record.value

    def owned(self) -> tuple[Fence, ...]:
        """Proofs for all partitions that the writer must own, without duplicates."""
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
        """Total bytes of the values of the flow's journal rows."""
        ...


class Commits(Protocol):
    """Writing side of everything."""

    def commit(self, unit: Unit) -> None:
        """Write all of `unit` durably, or nothing of it.

        Raises:
            FencedError: a partition of the unit has been reassigned to another owner.
            StateConflictError: a state, a waiting record, an offset, a record that is dropped or a
                journal row differs from the unit's expectation.
            StorageError: the store cannot be written.
        """
        ...


class StateStore(States, Journals, Glances, Accounts, Commits, Protocol):
    """The store of flows: a step reads it, and writes its changes as one transaction."""


class FlowStore(
    StateStore, WorkSource, LogSource, Backlogs, Logs, TopicUpkeep, NodeRecords, Protocol
):
    """All roles in one adapter, so that a unit is one transaction; users depend on single roles."""

    @property
    def time(self) -> TwoClocks:
        """The store's time: of `written_at`, heartbeats and due times.

        All times that several processes compare use it. For an embedded store it is the host's
        clock.
        """
        ...

    def close(self) -> None: ...
