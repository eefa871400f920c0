"""An honest tenant's verifications beside another tenant: p99 beside an attacker and an honest one.

The host has as many flow threads as cores, so a tenant beside another is what the host is made for;
the figure is how much worse an attacker is than an honest neighbour that works as hard.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from benchmarks import contracts, workshop
from benchmarks.contracts import verify
from benchmarks.measure import Measurement
from host.audit.gauntlet.neighbour import Neighbour, p99
from sandbox.errors import SandboxError
from sandbox.limits import Limits
from sandbox.python_source import PythonSource
from sandbox.world import World

_SECONDS = 4.0
_ROUNDS = 3
_LIMITS = Limits(fuel_max=200_000_000, wall_ms_max=1_000)
_GUEST = """
class Refused(Exception):
    payload = ""


def describe():
    return "{}"


def verify(transaction):
    exec(transaction, {})
"""
_ATTACKS = {
    "an endless loop": "while True: pass",
    "a memory hog": "held = []\nwhile True: held.append(bytearray(1 << 20))",
    "endless recursion": "def f(): f()\nwhile True:\n    try: f()\n    except RecursionError: pass",
    "a trap, again and again": "import os; os.abort()",
}


def run() -> list[Measurement]:
    alone: list[float] = []
    beside: dict[str, list[float]] = {name: [] for name in ("honest", *_ATTACKS)}
    attackers = {"honest": _honest, **{name: _attack(code) for name, code in _ATTACKS.items()}}
    for _ in range(_ROUNDS):  # in turn, so that a drifting machine touches all alike
        alone += _latencies(None)
        for name, attacker in attackers.items():
            beside[name] += _latencies(attacker)
    quiet, honest = _p99(alone), _p99(beside.pop("honest"))
    return [
        Measurement(
            name="p99 of a verification beside an honest tenant",
            value=honest * 1000,
            unit="ms",
            against=f"alone ({quiet * 1000:.2f} ms)",
            ratio=quiet / honest,
        ),
        *(_beside(name, _p99(samples), honest) for name, samples in beside.items()),
    ]


def _beside(name: str, attacked: float, honest: float) -> Measurement:
    return Measurement(
        name=f"p99 of a verification beside {name}",
        value=attacked * 1000,
        unit="ms",
        against=f"beside an honest tenant ({honest * 1000:.2f} ms)",
        ratio=honest / attacked,
        note=f"{attacked / honest:.2f}x; goal at most 1.2x",
    )


def _p99(samples: list[float]) -> float:
    found = p99(samples)
    assert found is not None  # seconds of work give more than enough samples
    return found


def _latencies(other: Callable[[], None] | None) -> list[float]:
    """Seconds of each verification during some seconds, beside `other` on a thread of its own."""
    guest, transaction = contracts.contracts()["Python"], contracts.transaction()
    with _running(other), Neighbour(lambda: verify(guest, transaction)) as neighbour:
        started = time.perf_counter()
        neighbour.wait(_SECONDS)
        ended = time.perf_counter()
    if neighbour.failure is not None:
        raise neighbour.failure
    return neighbour.between(started, ended)


@contextmanager
def _running(work: Callable[[], None] | None) -> Iterator[None]:
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


def _honest() -> None:
    verify(contracts.contracts()["Python"], contracts.transaction())


def _attack(code: str) -> Callable[[], None]:
    sandbox = workshop.sandbox()
    source = PythonSource(files={"cordapp/guest.py": _GUEST}, entry_modules=("cordapp.guest",))
    guest = sandbox.guest(World.CONTRACT, sandbox.derive(World.CONTRACT, source).digest)

    def attack() -> None:
        with suppress(SandboxError):
            guest.call("verify", code, limits=_LIMITS)

    return attack
