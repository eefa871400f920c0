"""An honest tenant beside another tenant: p99 in both isolation modes.

First its verifications in sandboxes, beside a tenant on another thread. A host has a flow thread
for each core, so a tenant beside another is what it is made for: the figures tell how much the
other one disturbs, and how much worse an attacker is than an honest tenant that works as hard.
Then its flows on whole hosts, over REST, beside every attack of the host gauntlet.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from benchmarks import contracts, neighbour_on_host, workshop
from benchmarks.contracts import SAMPLES
from benchmarks.measure import Measurement
from host.tools.audit.gauntlet.canary import Neighbour, p99
from sandbox.errors import SandboxError
from sandbox.guest import Guest
from sandbox.isolation.calls import IsolatedGuest
from sandbox.isolation.placing import Apart, Place, here
from sandbox.isolation.pool import ProcessPool
from sandbox.isolation.process import ProcessPlan
from sandbox.limits import Limits
from sandbox.outcome import Returned
from sandbox.python_source import PythonSource
from sandbox.world import World

_WARM_UP_SECONDS = 0.5
"""Left out of each window, alone or beside another, before `_SECONDS` are measured."""
_SECONDS = 3.0
_ROUNDS = 3
_LIMITS = Limits(fuel_max=200_000_000, wall_ms_max=1_000)
_PLAN = ProcessPlan(flows=1, waiting=0, contracts=2, memory_bytes_max=256 << 20)
_GUEST = """
class Refused(Exception):
    payload = ""


def describe():
    return "{}"


def verify(transaction):
    exec(transaction, {})
"""
_HONEST = "import json\nfor _ in range(20): json.dumps(json.loads('[1, 2, 3]'))"
_ATTACKS = {
    "an endless loop": "while True: pass",
    "a memory hog": "held = []\nwhile True: held.append(bytearray(1 << 20))",
    "endless recursion": "def f(): f()\nwhile True:\n    try: f()\n    except RecursionError: pass",
    "a trap, again and again": "import os; os.abort()",
}

_Work = Callable[[], None]


def processes() -> list[Measurement]:
    """Verifications in sealed processes."""
    pool = ProcessPool(most=4, idle_seconds=60, plan=_PLAN)
    try:
        return _mode("process", Apart(pool))
    finally:
        pool.close()


def threads() -> list[Measurement]:
    """Verifications on threads of one process."""
    return _mode("shared", here)


def shared_host() -> list[Measurement]:
    """Flows on a host that runs guests in its own processes."""
    return neighbour_on_host.measure("shared")


def process_host() -> list[Measurement]:
    """Flows on a host that runs guests in sealed processes."""
    return neighbour_on_host.measure("process")


def _mode(mode: str, place: Place) -> list[Measurement]:
    neighbour = _verification(place)
    others = {
        "an honest tenant": _other(place, _HONEST),
        **{name: _other(place, code) for name, code in _ATTACKS.items()},
    }
    alone: list[float] = []
    beside: dict[str, list[float]] = {name: [] for name in others}
    for _ in range(_ROUNDS):  # in turn, so that a drifting machine touches all alike
        alone += _latencies(neighbour, None)
        for name, other in others.items():
            beside[name] += _latencies(neighbour, other)
    quiet = _p99(alone)
    honest = _p99(beside["an honest tenant"])
    return [_beside(mode, name, _p99(beside[name]), quiet, honest) for name in others]


def _beside(mode: str, name: str, found: float, quiet: float, honest: float) -> Measurement:
    return Measurement(
        name=f"{mode}: p99 of a verification beside {name}",
        value=found * 1000,
        unit="ms",
        against=f"alone ({quiet * 1000:.2f} ms)",
        ratio=quiet / found,
        note=f"{found / honest:.2f}x of beside an honest tenant; goal at most 1.5x",
    )


def _p99(samples: list[float]) -> float:
    found = p99(samples)
    assert found is not None  # seconds of work give more than enough samples
    return found


def _latencies(work: _Work, other: _Work | None) -> list[float]:
    """Seconds of each run of `work` during some seconds, beside `other` on another thread."""
    with _running(other), Neighbour(work) as neighbour:
        neighbour.wait(_WARM_UP_SECONDS)
        started = time.perf_counter()
        neighbour.wait(_SECONDS)
        ended = time.perf_counter()
    if neighbour.failure is not None:
        raise neighbour.failure
    return neighbour.between(started, ended)


@contextmanager
def _running(work: _Work | None) -> Iterator[None]:
    if work is None:
        yield
        return
    is_over = threading.Event()

    def loop() -> None:
        while not is_over.is_set():
            work()

    thread = threading.Thread(target=loop, name="other-tenant")
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _verification(place: Place) -> _Work:
    """An honest verification by the Python IOU contract."""
    digest = workshop.built(SAMPLES / "iou").cpks[0].descriptor.code_digest
    guest = place(workshop.sandbox(), World.CONTRACT, digest)
    return lambda: _verify(guest)


def _verify(guest: Guest | IsolatedGuest) -> None:
    outcome = guest.call("verify", contracts.transaction(), limits=Limits())
    if not isinstance(outcome, Returned) or outcome.is_error:
        raise SandboxError(f"the neighbour's verification failed: {outcome}")


def _other(place: Place, code: str) -> _Work:
    sandbox = workshop.sandbox()
    source = PythonSource(files={"cordapp/guest.py": _GUEST}, entry_modules=("cordapp.guest",))
    guest = place(sandbox, World.CONTRACT, sandbox.make_image(World.CONTRACT, source).digest)

    def work() -> None:
        with suppress(SandboxError):
            guest.call("verify", code, limits=_LIMITS)

    return work
