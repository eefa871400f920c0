"""Two nodes on one engine, and traps for one of them in all that the engine touches outside."""

import errno
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from host.adapters.memory.store import MemoryStore
from host.domain.errors import DiskFullError, OutageError, StorageError
from host.domain.flow import FlowStatusName
from host.domain.ids import HoldingIdentity, ShortHash
from host.domain.quotas import Quota, RunCharge
from host.flow.engine.engine_calls import EngineCall, EngineCalls
from host.flow.engine.local_routes import LocalRoutes
from host.ports.audit_log import PrivilegedCall, Unaudited
from host.ports.quotas import Unmetered
from host.ports.routes import Refused, Route, Routes
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
            # Without the frames of before, which it would keep with all that they refer to.
            raise self.failure.with_traceback(None)


class TrappedStore:
    """Knows by keys and queues whose the thing is that it is asked for."""

    def __init__(self, inner: FlowStore, trap: Trap) -> None:
        self._inner, self._trap = inner, trap
        self.flows: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _node(self, *keys: str) -> str:
        # The only sessions that there are, are those of Alice's conversation.
        known = any(
            ALICES in key or key.startswith("session/") or any(f in key for f in self.flows)
            for key in keys
        )
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

    def balance(self, node: Any, account: Any) -> Any:
        self._trap("get balance", node)
        return self._inner.balance(node, account)

    def balances(self, node: Any) -> Any:
        self._trap("get balance", node)
        return self._inner.balances(node)

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

    def spent(self, node: Any, spent: RunCharge) -> None:
        self._trap("spent", node)
        super().spent(node, spent)


class TrappedGuests(ScriptedGuests):
    def __init__(self, flows: Any, trap: Trap) -> None:
        super().__init__(flows)
        self._trap = trap

    def run(self, run: Any, host: Any) -> Any:
        self._trap("run", run.node)
        return super().run(run, host)


class TrappedAuditLogs(Unaudited):
    def __init__(self, trap: Trap) -> None:
        self._trap = trap

    def has_room(self, node: ShortHash) -> bool:
        self._trap("audit room", node)
        return super().has_room(node)

    def record(self, call: PrivilegedCall) -> None:
        self._trap("audit record", call.holding.short_hash)
        super().record(call)


class TrappedRoutes:
    """Of the conversation, which is Alice's: nobody else sends anything."""

    def __init__(self, trap: Trap) -> None:
        self._trap = trap
        self.inner: Routes | None = None

    def route(self, source: HoldingIdentity, target: HoldingIdentity) -> Route:
        self._trap(f"router to {_name(target)}", ALICES)
        assert self.inner is not None
        return self.inner.route(source, target)

    def accepts(self, source: HoldingIdentity, target: HoldingIdentity) -> Refused | None:
        self._trap(f"acceptance by {_name(target)}", ALICES)
        assert self.inner is not None
        return self.inner.accepts(source, target)


def _name(target: HoldingIdentity) -> str:
    return "alice" if target.short_hash == ALICES else "bob"


def trapped_engine_calls(trap: Trap, patch: pytest.MonkeyPatch) -> None:
    """Spring the trap in the engine's own host calls, before and after each is answered."""
    find = EngineCalls.find

    def found(calls: EngineCalls, interface: str, function: str) -> EngineCall | None:
        call, node = find(calls, interface, function), calls._flow.holding_id

        def trapped(request: str) -> Any:
            trap(f"before {interface}.{function}", node)
            outcome = call(request) if call is not None else None
            trap(f"after {interface}.{function}", node)
            return outcome

        return None if call is None else trapped

    patch.setattr(EngineCalls, "find", found)


def works(guest: Guest) -> str:
    guest.call("flow", "now")
    guest.call("persistence", "write", op="persist")
    guest.call("flow", "sleep", millis=10)
    guest.call("persistence", "read")
    return "done"


def converses(guest: Guest) -> str:
    """Every host call of the engine's own, by Alice; Bob works alone."""
    if guest.body != "converse":
        return works(guest)
    guest.call("flow", "now")
    guest.call("flow", "random", bytes=8)
    guest.call("flow", "context", op="put", key="k", value="v")
    guest.call("flow", "sub-flow", op="enter", flow="x", protocol="p", versions=[1])
    session = guest.open(BOB)
    guest.send(session, "hello")
    guest.call("sessions", "info", session=session)
    guest.receive(session)
    guest.close(session)
    guest.call("flow", "sub-flow", op="leave")
    guest.call("flow", "sleep", millis=0)
    guest.call("external-messaging", "send", channel="c", messageId="1", message="m")
    return "done"


def answers(guest: Guest) -> str:
    guest.send(guest.session, guest.receive(guest.session))
    guest.close(guest.session)
    return "answered"


class Made:
    """Alice and Bob, each with a flow of its own, on one engine."""

    def __init__(self) -> None:
        self.trap = Trap()
        store = TrappedStore(MemoryStore(), self.trap)
        routes = TrappedRoutes(self.trap)
        self.network = Network(
            store,  # type: ignore[arg-type]
            {},
            notes=TrappedNotes(self.trap),
            quotas=TrappedQuotas(self.trap),
            guests=TrappedGuests(
                {"test.Initiator": converses, "test.Responder": answers}, self.trap
            ),
            audit_logs=TrappedAuditLogs(self.trap),
            routes=routes,
            events=lambda event: self.trap("event sink", getattr(event, "holding_id", "")),
        )
        routes.inner = LocalRoutes(self.network.nodes)
        self._trap_nodes()
        self.bobs = 0

    def _trap_nodes(self) -> None:
        nodes, find = self.network.nodes, self.network.nodes.find

        def found(wanted: HoldingIdentity) -> Any:
            self.trap("find node", wanted.short_hash)
            return find(wanted)

        nodes.find = found  # type: ignore[method-assign]

    def start_alice(self, body: Any = None) -> None:
        self.network.start(body, request_id="alice")

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
