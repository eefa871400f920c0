"""Pending work by node: queues with records, and keys whose due time has come.

Pure: the pool's clock is passed in, as monotonic seconds. A job is a query of one queue, or one key
that is set aside. At most one thread works on a key, and at most one queries a queue, at a time.
Work that arrives meanwhile is recorded.

While other nodes have work now and then, a node with a backlog does not use all of the processors:
after each of its turns, the slot of the turn rests for several times as long. Without that, the
steps of a node with few records take turns at once, but each of them, and each request at the REST
interface, gets a part of a processor only.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field

from host.domain.ids import ShortHash
from host.domain.pace import Pace
from host.flow.core.aside import WorkKey
from host.flow.core.turns import Turns
from host.ports.bus import WorkQueue

COMMITTING_MAX = 16
"""Turns that wait for their commits and are not counted as running."""
HELD_MAX = 1_000
"""Keys held in memory while the store cannot be written; beyond this, whole queues are held."""
REST_FACTOR = 3.0
"""Rest of a slot after a turn, in durations of the turn, where there is a slot for each processor.
See `rest_factor`."""
BUSY_SHARE = 0.25
"""Share of the processors that the steps of a node with a backlog take at most beside others."""
REST_MAX_S = 1.0


@dataclass(slots=True, kw_only=True)
class Job:
    """A turn of a node. Mutable, held by one thread.

    Attributes:
        queue: the queue to query, or that of `key`.
        key: the key to work on; None until the query has found one.
        skip: keys of the queue that other threads work on, or that are held.
        is_done: whether the queue is known to hold none of the found records any more.
        expected: see `Turns.begin`.
        begun: when the turn began, in seconds.
        is_committing: whether the turn has only its commit left.
        has_looked: whether the result of the query was reported.
    """

    queue: WorkQueue
    key: WorkKey | None = None
    skip: frozenset[str] = frozenset()
    is_done: bool = False
    expected: float = 0.0
    begun: float = 0.0
    is_committing: bool = False
    has_looked: bool = False


@dataclass(slots=True)
class _Todo:
    """Pending work of one node; both collections are in order of arrival."""

    queues: dict[WorkQueue, None] = field(default_factory=dict)
    keys: dict[WorkKey, None] = field(default_factory=dict)
    was_key: bool = False
    """Whether the last turn was for a key: keys and queues alternate."""


def rest_factor(slots: int, processors: int) -> float:
    """How long a slot rests after a turn, in durations of the turn.

    Args:
        slots: steps of one node that may run at once, in all processes together.
        processors: of the machine.
    """
    return max(1.0, slots / (BUSY_SHARE * processors) - 1)


class Dispatch:
    """Mutable, not thread-safe.

    Args:
        steps_max: steps of one node that may run at once.
        rest: of a slot after a turn, see `REST_FACTOR`.
    """

    def __init__(self, steps_max: int, *, rest: float = REST_FACTOR) -> None:
        self.turns = Turns(steps_max)
        self._todo: dict[ShortHash, _Todo] = {}
        self._looking: dict[WorkQueue, bool] = {}
        self._busy: dict[WorkQueue, dict[str, bool]] = {}
        self._come: set[WorkKey] = set()
        self._held: dict[WorkKey, float] = {}
        self._held_queues: dict[WorkQueue, float] = {}
        self._running: dict[int, float] = {}
        self._committing = 0
        self._rests: list[tuple[float, ShortHash]] = []
        self._pace: Pace[ShortHash] = Pace(factor=rest, rest_max_s=REST_MAX_S)

    def offer(self, queues: Iterable[WorkQueue]) -> None:
        """Report new records in these queues."""
        for queue in queues:
            if queue in self._busy:  # they may belong to any key
                self._busy[queue] = dict.fromkeys(self._busy[queue], True)
            self._have_looked_into(queue)

    def _have_looked_into(self, queue: WorkQueue) -> None:
        if queue in self._looking:
            self._looking[queue] = True
        elif queue not in self._held_queues:
            self._of(queue.node).queues[queue] = None
            self.turns.ready(queue.node)

    def offer_keys(self, keys: Iterable[WorkKey]) -> None:
        """Report keys whose due time has come; a key in work is offered again after its step.

        This is needed because a due time is reported only once, and the step in progress may have
        just set it.
        """
        for key in keys:
            if key.key in self._busy.get(key.queue, ()):
                self._come.add(key)
            elif self._is_free(key):
                self._of(key.queue.node).keys[key] = None
                self.turns.ready(key.queue.node)

    def keep(self, partitions: Iterable[int]) -> None:
        """Discard work of partitions other than these."""
        kept = frozenset(partitions)
        for node, todo in list(self._todo.items()):
            todo.queues = {q: None for q in todo.queues if q.partition in kept}
            todo.keys = {k: None for k in todo.keys if k.queue.partition in kept}
            self._tidy(node)
        self._come = {k for k in self._come if k.queue.partition in kept}
        self._held = {k: at for k, at in self._held.items() if k.queue.partition in kept}
        self._held_queues = {q: at for q, at in self._held_queues.items() if q.partition in kept}

    @property
    def running(self) -> int:
        """The number of turns in progress, without those that wait for their commits."""
        return len(self._running)

    def youngest(self) -> float | None:
        """Start time of the most recent turn in progress."""
        return max(self._running.values(), default=None)

    def has_job(self, *, only_fresh: bool) -> bool:
        """Whether `next` would return a job."""
        return self.turns.next(only_fresh=only_fresh) is not None

    def next(self, now: float, *, only_fresh: bool) -> Job | None:
        """Begin the turn of the next node; see `Turns.next`."""
        self._end_rests(now)
        node = self.turns.next(only_fresh=only_fresh)
        if node is None:
            return None
        job = self._pick(self._todo[node], now)
        job.expected = self.turns.begin(node)
        self._tidy(node)
        self._running[id(job)] = now
        return job

    def found(self, job: Job, key: WorkKey | None, *, more: bool = True) -> bool:
        """Report the result of a queue's query: a key or None; returns whether to work on it.

        Args:
            job: the query.
            key: the key that was found.
            more: whether the queue may hold further records, of this or another key.
        """
        came_in = self._looking.pop(job.queue)
        job.has_looked = True
        if key is not None and not self._is_free(key):
            came_in, key = True, None
        job.key = key
        if key is not None:
            self._busy.setdefault(key.queue, {})[key.key] = came_in or more
            if key in self._of(key.queue.node).keys:
                del self._of(key.queue.node).keys[key]
                self._come.add(key)
        if came_in or (more and key is not None):
            self._have_looked_into(job.queue)
        return key is not None

    def commit(self, job: Job, now: float) -> None:
        """Report that the turn has only its commit left; another turn may begin.

        Its key stays busy. At most `COMMITTING_MAX` turns wait at once; beyond, they are counted as
        running, so that what waits for the disk is bounded.
        """
        if not job.is_committing and self._committing < COMMITTING_MAX:
            self._committing += 1
            job.is_committing = True
            self._rest(job, now, self._cease(job, now))

    def _cease(self, job: Job, now: float) -> float:
        """End what is counted as running; returns the rest of a node with a backlog, in seconds."""
        del self._running[id(job)]
        node = job.queue.node
        self.turns.end(node, job.expected, (now - job.begun) * 1000)
        return self._pace.rest_s(node, job.begun, now)

    def _rest(self, job: Job, now: float, rest_s: float) -> None:
        """Let the slot of a turn that has ended rest, if its node has a backlog."""
        node = job.queue.node
        todo = self._todo.get(node)
        if rest_s and todo is not None and (todo.queues or todo.keys):
            self.turns.rest(node)
            heapq.heappush(self._rests, (now + rest_s, node))

    def _end_rests(self, now: float) -> None:
        while self._rests and self._rests[0][0] <= now:
            self.turns.rested(heapq.heappop(self._rests)[1])

    def next_rest(self) -> float | None:
        """When the first rest ends."""
        return self._rests[0][0] if self._rests else None

    def end(self, job: Job, now: float) -> None:
        """End the turn; its key is released, and its queue may hold more of its records."""
        # Once its query was reported, another turn may look into the same queue.
        is_looking = job.key is None and not job.has_looked
        came_in = self._looking.pop(job.queue, None) if is_looking else None
        rest_s = 0.0
        if job.is_committing:
            self._committing -= 1
        else:
            rest_s = self._cease(job, now)
        self._offer_what_is_left(job, came_in=bool(came_in))
        self._rest(job, now, rest_s)

    def _offer_what_is_left(self, job: Job, *, came_in: bool) -> None:
        if job.key is not None:
            busy = self._busy[job.queue]
            may_have_more = busy.pop(job.key.key)
            if not busy:
                del self._busy[job.queue]
            if may_have_more or not job.is_done:
                self._have_looked_into(job.queue)
            if job.key in self._come:
                self._come.discard(job.key)
                self.offer_keys([job.key])
        elif came_in:
            self._have_looked_into(job.queue)

    def hold(self, key: WorkKey, until: float) -> None:
        """Do not work on a key for a while; beyond `HELD_MAX` held keys, hold its queue."""
        if len(self._held) < HELD_MAX or key in self._held:
            self._held[key] = until
        else:
            self.hold_queue(key.queue, until)

    def hold_queue(self, queue: WorkQueue, until: float) -> None:
        """Do not query a queue for a while."""
        self._held_queues[queue] = until
        todo = self._todo.get(queue.node)
        if todo is not None:
            todo.queues.pop(queue, None)
            self._tidy(queue.node)

    def next_release(self) -> float | None:
        """The earliest release time of held keys and queues, and end of a rest."""
        rests = (at for at, _ in self._rests[:1])
        times = (*self._held.values(), *self._held_queues.values(), *rests)
        return min(times, default=None)

    def release(self, now: float) -> list[WorkKey]:
        """Let go what was held for long enough, and end rests.

        Returns:
            The keys, which may be set aside by now.
        """
        self._end_rests(now)
        keys = [key for key, until in self._held.items() if until <= now]
        queues = [queue for queue, until in self._held_queues.items() if until <= now]
        for key in keys:
            del self._held[key]
        for queue in queues:
            del self._held_queues[queue]
        self.offer([*queues, *(key.queue for key in keys)])
        return keys

    def _pick(self, todo: _Todo, now: float) -> Job:
        todo.was_key = bool(todo.keys) and not (todo.was_key and todo.queues)
        if todo.was_key:
            key = next(iter(todo.keys))
            del todo.keys[key]
            self._busy.setdefault(key.queue, {})[key.key] = True
            return Job(queue=key.queue, key=key, begun=now)
        queue = next(iter(todo.queues))
        del todo.queues[queue]
        self._looking[queue] = False
        held = {key.key for key in self._held if key.queue == queue}
        return Job(queue=queue, skip=frozenset(self._busy.get(queue, {}).keys() | held), begun=now)

    def _is_free(self, key: WorkKey) -> bool:
        return key.key not in self._busy.get(key.queue, ()) and key not in self._held

    def _of(self, node: ShortHash) -> _Todo:
        return self._todo.setdefault(node, _Todo())

    def _tidy(self, node: ShortHash) -> None:
        todo = self._todo.get(node)
        if todo is not None and not todo.queues and not todo.keys:
            del self._todo[node]
            self.turns.idle(node)
