"""A thread that does the work of partitions, as a member of a consumer group."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from host.domain.errors import ConflictError, HostError
from host.ports.bus import Committed
from host.ports.clock import TwoClocks
from host.ports.groups import FencedError, Membership
from host.ports.work import WorkSource

MEMBER_TTL_MS = 15_000
BEAT_MS = 5_000
_AFTER_FAILURE_MS = 1_000


class GroupWork(Protocol):
    """What the thread of a group does."""

    def adopt(self, epochs: Mapping[int, int | None], /) -> None:
        """Do the work of these partitions, with their epochs, from now on."""
        ...

    def work(self) -> bool:
        """Do something; False when nothing is left to do now."""
        ...

    def pause_ms(self) -> int:
        """How long nothing is to be done, at most; a lost notification costs no more."""
        ...


Concerns: TypeAlias = Callable[[Committed], bool]
"""Whether a commit has made work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadGroup:
    """A consumer group whose members are threads.

    Attributes:
        name: of the group, and of its threads.
        concerns: the commits that wake them.
    """

    name: str
    concerns: Concerns


def queues_of(topic: str) -> Concerns:
    """Commits that put records in the queues of a topic of work."""
    return lambda committed: any(queue.topic == topic for queue in committed.work)


class GroupThread:
    """Runs until stopped; commits that concern its group wake it.

    Args:
        group: what it is a member of.
        work: what to do.
        store: whose partitions they are.
        clock: of heartbeats.
        member: the name in the group, never used before.
        failed: told of failures; the thread goes on.
    """

    def __init__(
        self,
        group: ThreadGroup,
        *,
        work: GroupWork,
        store: WorkSource,
        clock: TwoClocks,
        member: str,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._group = group.name
        self._concerns = group.concerns
        self._partitions = work.adopt
        self._work = work.work
        self._pause_ms = work.pause_ms
        self._store = store
        self._clock = clock
        self._member = member
        self._failed = failed
        self._wake = threading.Event()
        self._is_stopping = False
        self._is_lost = False
        self._beat_at = 0
        self._thread = threading.Thread(target=self._run, name=group.name, daemon=True)

    def start(self) -> None:
        """Join the group and start the thread.

        Raises:
            StorageError: the store cannot be used.
        """
        self._store.on_commit(self._committed)
        self._store.on_rebalance(self._rebalanced)
        self._adopt(self._store.join(self._group, self._member, ttl_ms=MEMBER_TTL_MS))
        self._thread.start()

    def wake(self) -> None:
        """Look for work now."""
        self._wake.set()

    def stop(self, timeout_s: float = 10.0) -> bool:
        """End the thread and leave the group; False if it still runs after `timeout_s`."""
        self._is_stopping = True
        self._wake.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return False
        self._partitions({})
        try:
            self._store.leave(self._group, self._member)
        except HostError as exc:
            self._failed(exc)
        return True

    def _run(self) -> None:
        while not self._is_stopping:
            self._wake.clear()
            pause = BEAT_MS
            try:
                self._beat()
                while self._work() and not self._is_stopping:
                    self._beat()
                pause = self._pause_ms()
            except ConflictError:
                self._is_lost = True  # another process owns a partition now: read them anew
            except Exception as exc:  # noqa: BLE001  # without its heartbeat the member would be dead
                self._failed(exc)
                pause = _AFTER_FAILURE_MS
            self._wake.wait(0 if self._is_lost else min(pause, BEAT_MS) / 1000)

    def _beat(self) -> None:
        now = self._clock.steady_ms()
        if now < self._beat_at and not self._is_lost:
            return
        if self._is_lost:
            self._partitions({})
        try:
            membership = self._store.heartbeat(self._group, self._member)
        except FencedError:
            membership = self._store.join(self._group, self._member, ttl_ms=MEMBER_TTL_MS)
        self._adopt(membership)

    def _adopt(self, membership: Membership) -> None:
        self._partitions(membership.epochs)
        self._is_lost = False
        self._beat_at = self._clock.steady_ms() + BEAT_MS

    def _committed(self, committed: Committed) -> None:
        if self._concerns(committed):
            self._wake.set()

    def _rebalanced(self, group: str) -> None:
        if group == self._group:
            self._beat_at = 0
            self._wake.set()
