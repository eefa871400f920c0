"""Durable steps beside Restate, DBOS and Temporal's test server, in one run.

A step is one durable write of a journal before the next step begins; the step itself does nothing.
Ours is a host call with effects of a flow in its sandbox: what precedes it is committed, with the
disk synchronised, before it is made. A flow of one step is started durably, too. Every system runs
as a program of its own, in turn with the others, and makes all steps once before they are timed.
Its calls to synchronise a file are counted where strace is installed.
"""

import math
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks import workshop
from benchmarks.durable import (
    DBOS,
    RESTATE,
    TEMPORAL,
    Peer,
    Steps,
    run_steps,
    syncs_in,
    tracer,
)
from benchmarks.engine import NAMES, Bench, data_directory, running_engine
from benchmarks.flow_steps import commits_per_second
from benchmarks.measure import Measurement, latencies, seconds_of
from benchmarks.peers import PeerMissingError
from host.domain.clock import SimClock
from host.domain.json import JsonObject
from host.ports.guest import FlowRun, GuestOutcome, HostCallHandler, SuspendedRun, SuspendRun

_ROUNDS = 3
_STEPS = 1_000
_FLOWS = 150
_TRACED_STEPS = (20, 70)
_PARKED = 32
_CONVERSATIONS = 100
_AT_ONCE = 16
_OPEN = (10, 1_000, 10_000)
_OPENING_THREADS = 32
_PROBES = 30
_REPLAYED_CALLS = 1_000
_US = "Cordbox"
_POLICY = "SQLite, write-ahead log, synchronous=FULL"

Program = Callable[[int, int, Sequence[str]], Steps]


def alone() -> list[Measurement]:
    """Steps and flows beside bare commits, and what a flow of one step costs the processor."""
    ours, found, floors = _ours(), [], []
    for _ in range(_ROUNDS):  # in turn, so that a drifting disk touches both
        floors.append(commits_per_second())
        found.append(ours(_STEPS, _FLOWS, ()))
    floor = statistics.median(floors)
    one, many = _median(found, "sequential"), _median(found, "concurrent")
    against = f"bare commits, synchronous=FULL ({floor:,.0f}/s)"
    note = _sync_note(_POLICY, ours)
    return [
        _measured("sequential steps", one, "steps/s", against, one / floor, note),
        _measured("flows of one step", many, "flows/s", against, many / floor, _latency(found)),
        *(
            _measured(f"a flow of one step, {what}", _median(found, field), unit, None, None, note)
            for what, field, unit, note in (
                ("processor time", "cpu_ms", "ms", "client and two workers; goal at most 2"),
                ("page faults", "faults", "faults", "client and two workers; goal at most 40"),
            )
        ),
    ]


def beside_restate() -> list[Measurement]:
    """Our steps and Restate's, in turn."""
    return _beside(RESTATE)


def beside_dbos() -> list[Measurement]:
    """Our steps and those of DBOS, in turn."""
    return _beside(DBOS)


def beside_temporal() -> list[Measurement]:
    """Our steps and those of Temporal's test server, in turn."""
    return _beside(TEMPORAL)


def _beside(peer: Peer) -> list[Measurement]:
    try:
        peer.install()
    except PeerMissingError as reason:
        return [_measured("left out", 0, "steps/s", peer.name, None, str(reason))]
    programs: Mapping[str, Program] = {
        _US: _ours(), peer.name: lambda s, f, t: peer.run(s, f, tracer=t)
    }  # fmt: skip
    found: dict[str, list[Steps]] = {name: [] for name in programs}
    for _ in range(_ROUNDS):
        for name, program in programs.items():
            found[name].append(program(_STEPS, _FLOWS, ()))
    ours, theirs = found.values()
    one, many = _median(ours, "sequential"), _median(ours, "concurrent")
    slower, fewer = _median(theirs, "sequential"), _median(theirs, "concurrent")
    return [
        _measured(
            "sequential steps", one, "steps/s", f"{peer.name} ({slower:,.0f}/s)", one / slower,
            _sync_note(peer.policy, programs[peer.name]),
        ),
        _measured(
            "flows of one step", many, "flows/s", f"{peer.name} ({fewer:,.0f}/s)", many / fewer,
            f"theirs: {_latency(theirs)}",
        ),
    ]  # fmt: skip


def _ours() -> Program:
    words = [sys.executable, "-m", "benchmarks.durable.cordbox_steps", str(data_directory())]
    return lambda steps, flows, traced: run_steps(
        [*traced, *words, str(steps), str(flows), str(_PARKED)]
    )


def _sync_note(policy: str, program: Program) -> str:
    """The system's policy, and how often a step synchronises a file."""
    report = workshop.folder() / "syncs"
    words = tracer(report)
    if not words:
        return policy
    counts = []
    for steps in _TRACED_STEPS:
        program(steps, 1, words)
        counts.append(syncs_in(report))
    few, many = (2 * steps for steps in _TRACED_STEPS)  # made once before they are timed
    return f"{policy}; {(counts[1] - counts[0]) / (many - few):.1f} syncs a step"


def conversations() -> list[Measurement]:
    """Two-party flows of four messages, guests parked and always replayed."""
    rates, made = [], []
    for parked in (0, _PARKED):
        with running_engine(data_directory(), parked=parked) as bench:
            _converse(bench, 1)
            begun = time.perf_counter()
            ended = _converse(bench, _CONVERSATIONS)
            rates.append(_CONVERSATIONS / (time.perf_counter() - begun))
        made.append(
            _measured(
                "two-party flows of 4 messages", rates[-1], "flows/s",
                "always replayed" if parked else None,
                rates[-1] / rates[0] if parked else None,
                f"{'parked' if parked else 'replayed'}, {_AT_ONCE} at once: {latencies(ended)}",
            )
        )  # fmt: skip
    return made


def growth() -> list[Measurement]:
    """What a flow of one step costs while others sleep."""
    directory = workshop.folder() / "growth"
    shutil.copytree(data_directory(), directory)
    made: list[Measurement] = []
    opened = 0
    for wanted in _OPEN:
        with running_engine(directory, parked=0, threads=8, guests=_Sleepers()) as bench:
            _open(bench, wanted - opened)
        opened = wanted
        with running_engine(directory, parked=_PARKED) as bench:
            _one(bench, 1)
            ended = [_one(bench, 1) for _ in range(_PROBES)]
        cost = 1000 * statistics.median(ended)
        base = made[0].value if made else cost
        made.append(
            _measured(
                f"a flow of one step beside {wanted:,} open flows", cost, "ms",
                f"beside {_OPEN[0]}", base / cost, latencies(ended),
            )
        )  # fmt: skip
    return made


def replay() -> list[Measurement]:
    """What one journalled call costs a flow at its next step."""
    clock = SimClock()
    made = []
    for parked in (0, _PARKED):
        passed = {0: math.inf, _REPLAYED_CALLS: math.inf}
        with running_engine(data_directory(), parked=parked, threads=0, clock=clock) as bench:
            for calls in (0, _REPLAYED_CALLS) * 4:
                request_id = bench.start("steps_flows.Replayed", {"count": calls})
                bench.engine.drain()
                clock.advance(1_000)
                passed[calls] = min(passed[calls], seconds_of(bench.engine.drain))
                bench.wait(request_id)
        each = 1e6 * (passed[_REPLAYED_CALLS] - passed[0]) / _REPLAYED_CALLS
        made.append(
            _measured(
                "the next step, for each call of the journal", each, "us", None, None,
                "parked" if parked else "replayed",
            )
        )  # fmt: skip
    return made


class _Sleepers:
    """Guests that sleep: they leave in the store what a sandboxed flow that sleeps leaves."""

    def run(self, run: FlowRun, host: HostCallHandler) -> GuestOutcome:
        del run
        try:
            host("flow", "sleep", '{"millis":900000}')
        except SuspendRun:
            return SuspendedRun()
        raise AssertionError("nobody sleeps for that long")


def _converse(bench: Bench, count: int) -> list[float]:
    """Hold `count` conversations of four messages each; how long each took."""

    def one(_: int) -> float:
        body: JsonObject = {"counterparty": NAMES[1], "rounds": 2}
        return bench.wait(bench.start("pingpong_flows.Ping", body))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(one, range(count)))


def _open(bench: Bench, count: int) -> None:
    """Start flows until they sleep."""
    with ThreadPoolExecutor(_OPENING_THREADS) as pool:
        list(pool.map(lambda _: bench.start("steps_flows.Replayed", {"count": 0}), range(count)))
    bench.settle()


def _one(bench: Bench, steps: int) -> float:
    return bench.wait(bench.start("steps_flows.Steps", {"count": steps}))


def _median(found: Sequence[Steps], what: str) -> float:
    return statistics.median(float(getattr(steps, what)) for steps in found)


def _latency(found: Sequence[Steps]) -> str:
    return f"32 at once: {latencies([s for steps in found for s in steps.seconds])}"


def _measured(
    name: str, value: float, unit: str, against: str | None, ratio: float | None, note: str
) -> Measurement:
    return Measurement(name=name, value=value, unit=unit, against=against, ratio=ratio, note=note)
