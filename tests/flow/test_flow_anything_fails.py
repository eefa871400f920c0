"""Whatever is raised wherever, for one node: its own key waits or fails, and no other node's flow.

Every place where the engine touches the outside for a node is made to raise every kind of exception
once, for as long as an outage lasts, or for ever. Bob's flows complete meanwhile without a delay,
and Alice's ends as the table of failures says.
"""

import errno
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from host.bus.memory import MemoryStore
from host.domain.errors import DiskFullError, OutageError, StorageError
from host.domain.flow import FlowStatusName
from host.domain.quotas import Quota, Spent
from host.flow.messages import DEAD_LETTER_TOPIC
from host.flow.retry import FailureKind, kind_of
from host.ports.quotas import Unmetered
from host.ports.units import FlowStore, Unit
from tests.flow.network import ALICE, BOB, Network, Notes, holding
from tests.flow.queues import ALICES, BOBS
from tests.flow.scripted import Guest, ScriptedGuests


class Panic(BaseException):
    """As the libraries in Rust raise: no Exception."""


OUTAGES: tuple[BaseException, ...] = (
    OSError(errno.EMFILE, "Too many open files"),
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    MemoryError(),
    StorageError("the store"),
    DiskFullError("full"),
    OutageError("no worker answers"),
    sqlite3.OperationalError("database is locked"),
    RuntimeError("can't start new thread"),
)
POISON: tuple[BaseException, ...] = (
    RecursionError("maximum recursion depth exceeded"),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    KeyError("missing"),
    OSError(errno.EACCES, "Permission denied"),
    ZeroDivisionError(),
    RuntimeError("some other"),
    TimeoutError(),
    ValueError("Exceeds the limit (4300 digits) for integer string conversion"),
)
MISFITS = (RecursionError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
"""What a guest's request may make a service raise: the flow's failure at once."""
NO_EXCEPTIONS: tuple[BaseException, ...] = (SystemExit(3), Panic("a bug"), GeneratorExit())


@pytest.mark.parametrize("failure", OUTAGES, ids=repr)
def test_what_the_host_lacks_is_an_outage(failure: BaseException) -> None:
    assert kind_of(failure) is FailureKind.OUTAGE


@pytest.mark.parametrize("failure", [*POISON, *NO_EXCEPTIONS], ids=repr)
def test_anything_else_is_tried_a_few_times(failure: BaseException) -> None:
    assert kind_of(failure) is FailureKind.TRANSIENT


def test_sqlites_own_errors_are_told_apart_by_their_codes() -> None:
    connection = sqlite3.connect(":memory:")
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("no SQL")
    assert kind_of(caught.value) is FailureKind.TRANSIENT
    connection.execute("CREATE TABLE t (x)")
    connection.execute("PRAGMA query_only = 1")
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("INSERT INTO t VALUES (1)")
    assert kind_of(caught.value) is FailureKind.OUTAGE
    connection.close()


class Trap:
    """Raises at one place of one node, `times` times."""

    def __init__(self) -> None:
        self.place = ""
        self.failure: BaseException | None = None
        self.times = 0
        self.sprung = 0

    def set(self, place: str, failure: BaseException, times: int) -> None:
        self.place, self.failure, self.times, self.sprung = place, failure, times, 0

    def __call__(self, place: str, node: str) -> None:
        if place == self.place and node == ALICES and self.sprung < self.times:
            self.sprung += 1
            assert self.failure is not None
            raise self.failure


class TrappedStore:
    """Knows by keys and queues whose the thing is that it is asked for."""

    def __init__(self, inner: FlowStore, trap: Trap) -> None:
        self._inner, self._trap = inner, trap
        self.flows: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _node(self, *keys: str) -> str:
        known = any(ALICES in key or any(f in key for f in self.flows) for key in keys)
        return ALICES if known else BOBS

    def take(self, queue: Any, limit: int, skip: Any = (), **bounds: Any) -> Any:
        found = self._inner.take(queue, limit, skip, **bounds)
        if queue.node == ALICES and found.records:
            if queue.topic == "flow.event":
                self.flows.add(found.records[0].key)
            self._trap(f"take {queue.topic}", queue.node)
        return found

    def get(self, key: str) -> Any:
        self._trap(f"get {key.partition('/')[0]}", self._node(key))
        return self._inner.get(key)

    def get_many(self, keys: Any) -> Any:
        for key in keys:
            self._trap(f"get {key.partition('/')[0]}", self._node(key))
        return self._inner.get_many(keys)

    def journal(self, flow_id: Any) -> Any:
        self._trap("journal", self._node(flow_id))
        return self._inner.journal(flow_id)

    def commit(self, unit: Unit) -> None:
        asides = [w for w in unit.states if w.key.startswith(f"aside/{ALICES}/")]
        aside = any(write.value is not None and "/" in write.key[19:] for write in asides)
        done = [d.queue.topic for d in unit.done if d.queue.node == ALICES]
        done += [w.key.split("/")[2].partition(":")[0] for w in asides if w.value is None]
        timers = [w.key for w in unit.states if w.key.startswith("timer/") and w.value is None]
        if done and not aside:
            self._trap(f"commit {done[0]}", ALICES)
        elif self._node(*timers) == ALICES and not unit.done:
            self._trap("commit timer", ALICES)
        elif not unit.done and unit.journal and self._node(unit.journal[0].flow_id) == ALICES:
            self._trap("commit calls", ALICES)
        self._inner.commit(unit)


class TrappedNotes(Notes):
    def __init__(self, trap: Trap) -> None:
        super().__init__()
        self._trap = trap

    def call(self, context: Any, function: str, request: Any) -> Any:
        self._trap(f"persistence.{function}", context.holding.short_hash)
        return super().call(context, function, request)


class TrappedQuotas(Unmetered):
    def __init__(self, trap: Trap) -> None:
        self._trap = trap

    def quota(self, node: Any) -> Quota:
        self._trap("quota", node)
        return super().quota(node)

    def may_run_at(self, node: Any) -> Any:
        self._trap("may run at", node)
        return super().may_run_at(node)

    def spent(self, node: Any, spent: Spent) -> None:
        self._trap("spent", node)
        super().spent(node, spent)


class TrappedGuests(ScriptedGuests):
    def __init__(self, flows: Any, trap: Trap) -> None:
        super().__init__(flows)
        self._trap = trap

    def run(self, run: Any, host: Any) -> Any:
        self._trap("run", run.node)
        return super().run(run, host)


def works(guest: Guest) -> str:
    guest.call("flow", "now")
    guest.call("persistence", "write", op="persist")
    guest.call("flow", "sleep", millis=10)
    guest.call("persistence", "read")
    return "done"


PLACES = (
    "take flow.mapper.start",
    "take flow.event",
    "get start",
    "get flow",
    "get timer",
    "get status",
    "journal",
    "commit flow.mapper.start",
    "commit flow.event",
    "commit timer",
    "commit calls",
    "persistence.write",
    "persistence.read",
    "quota",
    "may run at",
    "spent",
    "run",
    "event sink",
)


class Made:
    """Alice and Bob, each with a flow of its own, on one engine."""

    def __init__(self) -> None:
        self.trap = Trap()
        store = TrappedStore(MemoryStore(), self.trap)
        self.network = Network(
            store,  # type: ignore[arg-type]
            {},
            notes=TrappedNotes(self.trap),
            quotas=TrappedQuotas(self.trap),
            guests=TrappedGuests({"test.Initiator": works}, self.trap),
            events=lambda event: self.trap("event sink", getattr(event, "holding_id", "")),
        )
        self.bobs = 0

    def start_alice(self) -> None:
        self.network.start(request_id="alice")

    def bob_completes_at_once(self) -> None:
        """Started and completed with nothing but the 10 ms that it sleeps."""
        self.bobs += 1
        name = f"bob-{self.bobs}"
        node = self.network.nodes.nodes[holding(BOB)]
        service = self.network.service
        service.start(node, self.network.cpi, name, "test.Initiator", None)
        self.drive(self.network.engine.drain)
        self.drive(lambda: self.network.later(10))
        assert service.status(BOBS, name).status is FlowStatusName.COMPLETED

    def drive(self, step: Callable[[], object]) -> None:
        """Go on, as the threads of a pool do, though a queue cannot be read just now."""
        try:
            step()
        except BaseException as exc:
            if exc is not self.trap.failure or not self.trap.place.startswith("take"):
                raise
            self.trap.times = self.trap.sprung  # the queue is left alone for a while
            step()

    def alice(self) -> Any:
        return self.network.service.status(holding(ALICE).short_hash, "alice")


@pytest.mark.parametrize(
    ("place", "failure"),
    [
        (place, failure)
        for place in PLACES
        for failure in (OUTAGES[0], OUTAGES[4], POISON[0], POISON[2], POISON[5])
        if not (place.startswith("persistence.") and isinstance(failure, MISFITS))
    ],
    ids=repr,
)
def test_a_failure_anywhere_delays_no_other_node_and_passes(
    place: str, failure: BaseException
) -> None:
    made = Made()
    made.start_alice()
    made.trap.set(place, failure, times=2)
    for _ in range(3):
        made.bob_completes_at_once()
    for _ in range(6):
        made.drive(lambda: made.network.later(16_000))
    assert made.trap.sprung > 0, "the place was never passed"
    assert (made.alice().status, made.alice().result) == (FlowStatusName.COMPLETED, "done")
    assert len([r for r in made.network.notes.rows if r]) == 4
    assert list(made.network.store.newest(DEAD_LETTER_TOPIC, 9)) == []
    assert made.network.store.scan("aside/") == []
    assert made.network.store.scan("flow/") == []


@pytest.mark.parametrize(
    "place", ["persistence.write", "persistence.read", "run", "quota", "spent"]
)
@pytest.mark.parametrize("failure", POISON, ids=repr)
def test_what_fails_for_ever_ends_the_flow_by_itself(place: str, failure: BaseException) -> None:
    made = Made()
    made.trap.set(place, failure, times=1_000)
    made.start_alice()
    made.bob_completes_at_once()
    for _ in range(12):
        made.network.later(16_000)
        if made.alice().status.is_final:
            break
    made.bob_completes_at_once()
    status = made.alice()
    letters = made.network.store.newest(DEAD_LETTER_TOPIC, 9)
    is_guests = place.startswith("persistence.") and isinstance(failure, MISFITS)
    assert (status.status, status.error.type, len(letters)) == (
        FlowStatusName.FAILED,
        "FLOW_FAILED" if is_guests else "platform-failure",
        0 if is_guests else 1,
    )
    assert made.network.store.scan("aside/") == []


@pytest.mark.parametrize("place", ["persistence.write", "run", "commit flow.event"])
@pytest.mark.parametrize("failure", [f for f in OUTAGES if f is not OUTAGES[4]], ids=repr)
def test_an_outage_is_waited_for_however_long_it_lasts(place: str, failure: BaseException) -> None:
    made = Made()
    made.trap.set(place, failure, times=1_000)
    made.start_alice()
    for _ in range(60):
        made.network.later(16_000)
    assert not made.alice().status.is_final
    made.bob_completes_at_once()
    made.trap.times = 0
    made.network.later(16_000)
    made.network.later(16_000)
    assert (made.alice().status, made.alice().result) == (FlowStatusName.COMPLETED, "done")
    assert list(made.network.store.newest(DEAD_LETTER_TOPIC, 9)) == []
