"""What the flow engine itself costs a flow: processor time, page faults, commits and reads.

One process, so that its counters are the flow's. Guests are sandboxes, and once more functions of
this file that make the same host calls: their figures are the engine's own part. Processor time
depends less on neighbours than elapsed time, but the machine's load still changes it.
"""

import json
import resource
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypedDict

from benchmarks.engine import NAMES, Bench, data_directory, running_engine
from benchmarks.measure import Measurement
from host.adapters.sqlite.store import SqliteStore
from host.ports.guest import (
    Finished,
    FlowGuests,
    FlowRun,
    GuestOutcome,
    HostCallHandler,
    SuspendedRun,
    SuspendRun,
)

_AT_ONCE = 16
_FLOWS = 300
_STEPS = 500
_CONVERSATIONS = 100
_WARM = 20
_PARKED = 32
_ROUNDS = 2
_READS = frozenset(
    name
    for name in dir(SqliteStore)
    if not name.startswith("_") and name not in ("close", "commit", "on_commit", "on_rebalance")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one flow, or of one step of it. `commits` are units; several may be one transaction."""

    cpu_ms: float
    faults: float
    commits: float
    reads: Mapping[str, float]


def sandbox() -> list[Measurement]:
    """Flows in sandboxes, guests parked, as hosts run them."""
    with running_engine(data_directory(), parked=_PARKED) as bench:
        return _all(bench, "sandbox")


def engine() -> list[Measurement]:
    """The same flows as functions of this process: the engine's own part."""
    with running_engine(data_directory(), parked=0, guests=_Functions()) as bench:
        return _all(bench, "engine alone")


def _all(bench: Bench, guests: str) -> list[Measurement]:
    return [
        _measured(f"{what}, {guests}", measured(bench, act, count, unit))
        for what, unit, count, act in (
            ("a flow of one step", 1, _FLOWS, _one_step),
            ("a durable step", _STEPS, 1, _steps),
            ("a two-party flow of 4 messages", 1, _CONVERSATIONS, _conversation),
        )
    ]


def measured(bench: Bench, act: Callable[[Bench], str], count: int, each: int = 1) -> Cost:
    """The cost of `act`, which starts a flow, when `count` flows run, a few at once.

    Args:
        bench: a running engine.
        act: starts one flow.
        count: of flows.
        each: steps of one flow, by which its cost is divided.
    """
    calls = _counted(bench)

    def one(_: int) -> float:
        return bench.wait(act(bench))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(one, range(min(_WARM, count))))
        calls.clear()
        before = resource.getrusage(resource.RUSAGE_SELF)
        list(pool.map(one, range(count)))
        after = resource.getrusage(resource.RUSAGE_SELF)
    seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    total = count * each
    return Cost(
        cpu_ms=1000 * seconds / total,
        faults=(after.ru_minflt - before.ru_minflt) / total,
        commits=calls["commit"] / total,
        reads={name: calls[name] / total for name in calls if name in _READS},
    )


def _counted(bench: Bench) -> Counter[str]:
    """Count the calls of the store's methods from now on."""
    calls: Counter[str] = Counter()
    store = bench.parts.store

    def count(name: str) -> None:
        method = getattr(type(store), name)

        def counted(*values: object, **named: object) -> object:
            calls[name] += 1
            return method(store, *values, **named)

        setattr(store, name, counted)

    for name in ("commit", *_READS):
        if callable(getattr(type(store), name)):
            count(name)
    return calls


def _one_step(bench: Bench) -> str:
    return bench.start("steps_flows.Steps", {"count": 1})


def _steps(bench: Bench) -> str:
    return bench.start("steps_flows.Steps", {"count": _STEPS})


def _conversation(bench: Bench) -> str:
    return bench.start("pingpong_flows.Ping", {"counterparty": NAMES[1], "rounds": _ROUNDS})


class _Ball(TypedDict):
    number: int
    last: bool


class _Functions(FlowGuests):
    """The flows of `benchmarks/pingpong` as functions of this process, with the same host calls."""

    def run(self, run: FlowRun, host: HostCallHandler) -> GuestOutcome:
        start = json.loads(run.start)
        body, session = start["requestBody"], start["session"]
        try:
            if run.flow_class == "steps_flows.Steps":
                return Finished(result=str(self._steps(host, body["count"])))
            if session is None:
                rounds = self._ping(host, body["counterparty"], body["rounds"])
                return Finished(result=str(rounds))
            self._pong(host, session["id"])
            return Finished(result="null")
        except SuspendRun:
            return SuspendedRun()

    def _steps(self, host: HostCallHandler, count: int) -> int:
        for number in range(count):
            row = {"type": "steps_flows.Step", "key": number, "value": {"number": number}}
            request = {"op": "persist", "entities": [row], "dedupId": None}
            host("persistence", "write", json.dumps(request))
        return count

    def _ping(self, host: HostCallHandler, counterparty: str, rounds: int) -> int:
        request = {"counterparty": counterparty, "requireClose": True, "timeoutMillis": None}
        session = json.loads(host("sessions", "open", json.dumps(request)))["session"]
        for number in range(rounds):
            _send(host, session, number, last=number == rounds - 1)
            _receive(host, session)
        return rounds

    def _pong(self, host: HostCallHandler, session: str) -> None:
        last = False
        while not last:
            ball = _receive(host, session)
            last = ball["last"]
            _send(host, session, ball["number"] + 1, last=last)


def _send(host: HostCallHandler, session: str, number: int, *, last: bool) -> None:
    message = {"session": session, "payload": {"number": number, "last": last}}
    host("sessions", "send", json.dumps({"messages": [message]}))


def _receive(host: HostCallHandler, session: str) -> "_Ball":
    answer = json.loads(host("sessions", "receive", json.dumps({"sessions": [session]})))
    found: _Ball = answer[0]
    return found


def _measured(name: str, cost: Cost) -> Measurement:
    reads = ", ".join(f"{n} {count:.1f}" for n, count in sorted(cost.reads.items()))
    return Measurement(
        name=name,
        value=cost.cpu_ms,
        unit="CPU ms",
        note=f"{cost.faults:.0f} faults, {cost.commits:.1f} commits; reads: {reads}",
    )
