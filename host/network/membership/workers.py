"""The thread of membership: a member of the group `membership`.

It handles records of `membership.in` of its partitions. The owner of the first partition also does
what is due of the whole cluster, and moves messages from the outbox to `p2p.out`. Between two due
times nothing runs, however many members are here.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog

from host.domain.errors import StorageError, UnavailableError
from host.domain.ids import EpochMs
from host.network.group_thread import BEAT_MS, ThreadGroup, queues_of
from host.network.membership.due import next_due
from host.network.membership.network_access import NetworkAccess
from host.network.membership.network_worker import NetworkWorker
from host.network.membership.outbox import OutboxRelay
from host.network.values.messages import MEMBERSHIP_IN_TOPIC
from host.ports.bus import NewRecord
from host.ports.clock import Clock
from host.ports.groups import Fence
from host.ports.units import FlowStore, Unit
from host.ports.work import Done, WorkRecord

GROUP = "membership"
RECORDS_MAX = 20
BYTES_MAX = 4 * 1024 * 1024
_FIRST_PARTITION = 0

_log = structlog.get_logger("cordbox.membership")


class Handled(Protocol):
    """Is told that a record was handled, or dropped because it cannot be."""

    def __call__(self, *, is_dropped: bool) -> None: ...


class MembershipWork:
    """The work of the partitions that a process owns. Used by one thread.

    Args:
        access: the host's parts.
        worker: handles records, and does what is due.
        store: of the topics.
        clock: of due times.
        handled: told of each record.
    """

    def __init__(
        self,
        access: NetworkAccess,
        worker: NetworkWorker,
        store: FlowStore,
        clock: Clock,
        *,
        handled: Handled,
    ) -> None:
        self._access = access
        self._worker = worker
        self._store = store
        self._clock = clock
        self._handled = handled
        self._relay = OutboxRelay(access.database, self._publish)
        self._epochs: Mapping[int, int | None] = {}
        self._due_at: EpochMs | None = None
        self._is_changed = True

    def adopt(self, epochs: Mapping[int, int | None]) -> None:
        """Do the work of these partitions from now on."""
        self._epochs = dict(epochs)

    def changed(self) -> None:
        """Something may be due earlier than was known. Called by any thread, after a commit."""
        self._is_changed = True

    def work(self) -> bool:
        """Handle what waits, do what is due, and publish; whether there was anything.

        Raises:
            ConflictError: a partition has another owner.
            StorageError: a store or a database cannot be used.
            UnavailableError: the key store cannot be reached.
        """
        done = False
        for queue in self._store.waiting([MEMBERSHIP_IN_TOPIC]):
            if queue.partition not in self._epochs:
                continue
            records = self._store.take(queue, RECORDS_MAX, bytes_max=BYTES_MAX).records
            for record in records:
                self._handle(record)
                done = True
        if _FIRST_PARTITION not in self._epochs:
            return done
        if self._is_changed or self.pause_ms() == 0:
            done |= self._do_due()
        return done

    def pause_ms(self) -> int:
        """How long nothing is due."""
        if _FIRST_PARTITION not in self._epochs:
            return BEAT_MS
        if self._is_changed:
            return 0
        if self._due_at is None:
            return BEAT_MS
        return min(max(self._due_at - self._clock.now_ms(), 0), BEAT_MS)

    def _do_due(self) -> bool:
        """Do what is due, and publish what that and others wrote; whether there was anything."""
        self._is_changed = False  # before the tables are read: a later change counts again
        done, database = False, self._access.database
        try:
            # Most changes make nothing due: to ask for each kind of work costs six transactions.
            due_at = next_due(database)
            if due_at is not None and due_at <= self._clock.now_ms():
                done = self._worker.tick() > 0
                due_at = next_due(database)
                if not done and due_at is not None:
                    # Of an MGM that leaves or arrives nothing is done here, and it stays due.
                    due_at = max(due_at, EpochMs(self._clock.now_ms() + BEAT_MS))
            while self._relay.relay():
                done = True
            self._due_at = due_at
        except BaseException:
            self._is_changed = True
            raise
        return done

    def _handle(self, record: WorkRecord) -> None:
        """Handle a record, and delete it; one that can never be handled is dropped."""
        is_dropped = False
        try:
            self._worker.handle(record.value)
        except (StorageError, UnavailableError):
            raise
        except Exception as exc:  # noqa: BLE001  # else it would stop all records after it
            _log.exception("membership-record-dropped", node=record.queue.node, reason=str(exc))
            is_dropped = True
        self._is_changed = True
        done = Done(queue=record.queue, positions=(record.position,))
        partition = record.queue.partition
        epoch = self._epochs[partition]
        fences = () if epoch is None else (Fence(group=GROUP, partition=partition, epoch=epoch),)
        self._store.commit(Unit(done=(done,), fences=fences))
        self._handled(is_dropped=is_dropped)

    def _publish(self, records: Sequence[NewRecord]) -> None:
        self._store.commit(Unit(records=tuple(records)))


MEMBERSHIPS = ThreadGroup(name=GROUP, concerns=queues_of(MEMBERSHIP_IN_TOPIC))
"""Its threads' work is `MembershipWork`."""
