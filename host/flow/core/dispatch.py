"""What there is to do, by node: queues with records, and keys whose time has come.

Pure: the pool's clock is passed in, as seconds that only grow. A job is a look into one queue, or
one key that is set aside. While a step works on a key, nobody else does; while somebody looks into
a queue, nobody else looks into that one. What comes in meanwhile is remembered.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from host.domain.ids import ShortHash
from host.flow.core.aside import WorkKey
from host.flow.core.turns import Turns
from host.ports.bus import WorkQueue

HELD_MAX = 1_000
"""Keys that wait in memory because the store cannot be written; beyond them whole queues wait."""


@dataclass(slots=True, kw_only=True)
class Job:
    """A turn of a node. Mutable, held by one thread.

    Attributes:
        queue: to look into, or that of `key`.
        key: to work on; None until a look has found one.
        skip: keys of the queue that others work on, or that wait.
        is_done: whether the queue is known to hold nothing more of what the look has found.
        expected: see `Turns.begin`.
        begun: seconds, when the turn began.
    """

    queue: WorkQueue
    key: WorkKey | None = None
    skip: frozenset[str] = frozenset()
    is_done: bool = False
    expected: float = 0.0
    begun: float = 0.0


@dataclass(slots=True)
class _Todo:
    """What one node has to do; both are in the order in which it came."""

    queues: dict[WorkQueue, None] = field(default_factory=dict)
    keys: dict[WorkKey, None] = field(default_factory=dict)
    was_key: bool = False
    """Whether the last turn was a key's: keys and queues take turns, too."""


class Dispatch:
    """Mutable, not thread-safe.

    Args:
        steps_max: steps of one node that may run at once.
    """

    def __init__(self, steps_max: int) -> None:
        self.turns = Turns(steps_max)
        self._todo: dict[ShortHash, _Todo] = {}
        self._looking: dict[WorkQueue, bool] = {}
        self._busy: dict[WorkQueue, dict[str, bool]] = {}
        self._come: set[WorkKey] = set()
        self._held: dict[WorkKey, float] = {}
        self._held_queues: dict[WorkQueue, float] = {}
        self._running: dict[int, float] = {}

    def offer(self, queues: Iterable[WorkQueue]) -> None:
        """Records came into these queues."""
        for queue in queues:
            if queue in self._busy:  # they may be of any key
                self._busy[queue] = dict.fromkeys(self._busy[queue], True)
            self._have_looked_into(queue)

    def _have_looked_into(self, queue: WorkQueue) -> None:
        if queue in self._looking:
            self._looking[queue] = True
        elif queue not in self._held_queues:
            self._of(queue.node).queues[queue] = None
            self.turns.ready(queue.node)

    def offer_keys(self, keys: Iterable[WorkKey]) -> None:
        """The time of these keys has come; one that is worked on is offered when that is done.

        Nobody is told of a time twice: what works on the key may have been given it just now.
        """
        for key in keys:
            if key.key in self._busy.get(key.queue, ()):
                self._come.add(key)
            elif self._is_free(key):
                self._of(key.queue.node).keys[key] = None
                self.turns.ready(key.queue.node)

    def keep(self, partitions: Iterable[int]) -> None:
        """Forget what is not of these partitions."""
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
        """How many turns are taken."""
        return len(self._running)

    def youngest(self) -> float | None:
        """When the turn began that began last, of those that are taken."""
        return max(self._running.values(), default=None)

    def has_job(self, *, only_fresh: bool) -> bool:
        """Whether `next` would answer one."""
        return self.turns.next(only_fresh=only_fresh) is not None

    def next(self, now: float, *, only_fresh: bool) -> Job | None:
        """Begin the turn of the node whose turn it is; see `Turns.next`."""
        node = self.turns.next(only_fresh=only_fresh)
        if node is None:
            return None
        job = self._pick(self._todo[node], now)
        job.expected = self.turns.begin(node)
        self._tidy(node)
        self._running[id(job)] = now
        return job

    def found(self, job: Job, key: WorkKey | None, *, more: bool = True) -> bool:
        """The look into a queue has found a key, or nothing; whether it may be worked on.

        Args:
            job: the look.
            key: what it has found.
            more: whether the queue may hold other records, of this key or another.
        """
        came_in = self._looking.pop(job.queue)
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

    def end(self, job: Job, now: float) -> None:
        """The turn is over; its key is free again, and its queue may hold more of it."""
        del self._running[id(job)]
        came_in = self._looking.pop(job.queue, None) if job.key is None else None
        self.turns.end(job.queue.node, job.expected, (now - job.begun) * 1000)
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
        """Leave a key alone for a while; beyond `HELD_MAX` of them its queue."""
        if len(self._held) < HELD_MAX or key in self._held:
            self._held[key] = until
        else:
            self.hold_queue(key.queue, until)

    def hold_queue(self, queue: WorkQueue, until: float) -> None:
        """Leave a queue alone for a while."""
        self._held_queues[queue] = until
        todo = self._todo.get(queue.node)
        if todo is not None:
            todo.queues.pop(queue, None)
            self._tidy(queue.node)

    def next_release(self) -> float | None:
        """When the first of what is held is to be let go."""
        times = (*self._held.values(), *self._held_queues.values())
        return min(times, default=None)

    def release(self, now: float) -> list[WorkKey]:
        """Let go what was held for long enough; the keys, which may be set aside by now."""
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
