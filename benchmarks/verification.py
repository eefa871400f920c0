"""One contract verification, fresh and in a kept instance, in every language.

Against a Python subprocess for each verification, and against the same Python contract in this very
process without any isolation.
"""

import json
import queue
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Thread

from wasmtime import wat2wasm

from benchmarks import contracts, workshop
from benchmarks.contracts import KeptInstance, verify
from benchmarks.measure import BenchmarkError, Measurement, median_seconds, medians_in_turn
from benchmarks.peers import PeerMissingError, python_peer
from sandbox.errors import OutOfFuelError
from sandbox.guest import Guest
from sandbox.limits import Limits
from sandbox.world import World

MINIMAL_WAT = """
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 1024) "{}")
    (func (export "describe") (result i32)
      (i32.store (i32.const 0) (i32.const 1024))
      (i32.store (i32.const 4) (i32.const 2))
      (i32.const 0))
    (func (export "verify") (param i32 i32) (result i32) (i32.const 16))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096)))
  (core instance $i (instantiate $m))
  (func (export "describe") (result string)
    (canon lift (core func $i "describe") (memory (core memory $i "memory"))))
  (func (export "verify") (param "transaction" string) (result (result (error string)))
    (canon lift (core func $i "verify") (memory (core memory $i "memory"))
      (realloc (core func $i "realloc")))))
"""
_SPINNING_WAT = MINIMAL_WAT.replace("(i32.const 16))", "(loop $again (br $again)) unreachable)", 1)
_MINIMAL_PLUGIN = """
(module (memory (export "memory") 1) (func (export "verify") (result i32) (i32.const 0)))
"""
_EXTISM = ("extism==1.1.1", "extism-sys==1.41.0")
_PATHS = ["sandbox/sdk", "sample_cordapps/iou/contracts"]
_PEER = f"""
import sys
sys.path[:0] = {_PATHS!r}
import iou_contracts
from cordapp import guest
guest.verify(sys.stdin.read())
"""
_NATIVE = f"""
import statistics, sys, time
sys.path[:0] = {_PATHS!r}
import iou_contracts
from cordapp import guest
text = sys.stdin.read()
def once():
    started = time.perf_counter()
    guest.verify(text)
    return time.perf_counter() - started
once()
print(statistics.median(once() for _ in range(2000)))
"""
_ROUNDS = 9
_BUSY = 8
_SPIN_FUEL = 100_000_000
_PROCESS = "subprocess"
_MINIMAL = "minimal WAT"
_GOALS = {
    "Python": "; goal 80 times a subprocess, at most 2.5 times the call",
    "Rust": "; goal at most 60 µs",
    "C": "; goal at most 60 µs",
}


def languages() -> list[Measurement]:
    """Each language's contract in a fresh sandbox and in a kept instance."""
    transaction = contracts.transaction()
    data = transaction.encode()
    guests = _guests()
    kept = {language: KeptInstance(guest) for language, guest in guests.items()}
    actions: dict[str, Callable[[], object]] = {
        _PROCESS: lambda: _in_subprocess(_PEER, transaction)
    }
    for language, guest in guests.items():
        actions[_fresh(language)] = lambda guest=guest: verify(guest, transaction)  # type: ignore[misc]
        actions[_kept(language)] = lambda one=kept[language]: one.verify(data)  # type: ignore[misc]
    each = dict.fromkeys(map(_fresh, guests), 40) | dict.fromkeys(map(_kept, guests), 200)
    found = medians_in_turn(actions, rounds=_ROUNDS, each=each)
    for instance in kept.values():
        instance.close()
    bare = float(_in_subprocess(_NATIVE, transaction))
    return [
        *(_fresh_figure(language, found) for language in guests),
        *(_kept_figure(language, found, bare) for language in guests),
    ]


def beside_busy_threads() -> list[Measurement]:
    """The Python contract beside threads that compute in other sandboxes of the process."""
    python, transaction = contracts.contracts()["Python"], contracts.transaction()
    kept, data = KeptInstance(python), transaction.encode()
    actions: dict[str, Callable[[], object]] = {
        "fresh": lambda: verify(python, transaction),
        "kept": lambda: kept.verify(data),
    }
    each = {"fresh": 40, "kept": 40}
    quiet: list[dict[str, float]] = []
    busy: list[dict[str, float]] = []
    for _ in range(_ROUNDS):
        quiet.append(medians_in_turn(actions, rounds=1, each=each))
        with _busy_threads():
            busy.append(medians_in_turn(actions, rounds=1, each=each))
    kept.close()
    medians = [
        {name: statistics.median(found[name] for found in rounds) for name in actions}
        for rounds in (quiet, busy)
    ]
    return [
        Measurement(
            name=f"Python contract, {name}, beside {_BUSY} busy threads",
            value=medians[1][name] * 1e6,
            unit="µs",
            against=f"quiet ({medians[0][name] * 1e6:.0f} µs)",
            ratio=medians[0][name] / medians[1][name],
            note="goal: at most 1.5 times the quiet figure" if name == "fresh" else "",
        )
        for name in actions
    ]


@contextmanager
def _busy_threads() -> Iterator[None]:
    """Threads that run guests without an end until the block is left."""
    sandbox = workshop.sandbox()
    component = sandbox.admit(World.CONTRACT, bytes(wat2wasm(_SPINNING_WAT)))
    guest, is_over = sandbox.guest(World.CONTRACT, component.digest), Event()
    spun = queue.SimpleQueue[None]()

    def spin() -> None:
        while not is_over.is_set():
            try:
                guest.call("verify", "", limits=Limits(fuel_max=_SPIN_FUEL))
            except OutOfFuelError:
                spun.put(None)

    threads = [Thread(target=spin) for _ in range(_BUSY)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    if spun.qsize() < _BUSY:
        raise BenchmarkError(f"{_BUSY} threads have spun {spun.qsize()} times")


def _guests() -> dict[str, Guest]:
    sandbox = workshop.sandbox()
    minimal = sandbox.admit(World.CONTRACT, bytes(wat2wasm(MINIMAL_WAT)))
    return {**contracts.contracts(), _MINIMAL: sandbox.guest(World.CONTRACT, minimal.digest)}


def _fresh(language: str) -> str:
    return f"{language} contract, fresh sandbox"


def _kept(language: str) -> str:
    return f"{language} contract, kept instance"


def _fresh_figure(language: str, found: Mapping[str, float]) -> Measurement:
    seconds, process = found[_fresh(language)], found[_PROCESS]
    return Measurement(
        name=_fresh(language),
        value=seconds * 1e6,
        unit="µs",
        against=f"a Python subprocess per verification ({process * 1000:.1f} ms)",
        ratio=process / seconds,
        note=f"{seconds / found[_kept(language)]:.2f} times the call in a kept instance"
        + _GOALS.get(language, ""),
    )


def _kept_figure(language: str, found: Mapping[str, float], bare: float) -> Measurement:
    seconds = found[_kept(language)]
    return Measurement(
        name=_kept(language),
        value=seconds * 1e6,
        unit="µs",
        against=f"the Python contract without a sandbox ({bare * 1e6:.1f} µs)",
        ratio=bare / seconds,
        note="metering on; the call alone, without what separates it from the next one",
    )


def beside_extism() -> list[Measurement]:
    """The smallest contract beside the smallest Extism plug-in, both called with a transaction."""
    transaction = contracts.transaction()
    try:
        interpreter = python_peer("extism", _EXTISM)
    except PeerMissingError as missing:
        return [Measurement(name="Extism", value=0, unit="", note=f"not measured: {missing}")]
    minimal = _guests()[_MINIMAL]
    module = bytes(wat2wasm(_MINIMAL_PLUGIN)).hex()
    words = [str(interpreter), "benchmarks/extism_calls.py", "500", module]
    done = subprocess.run(words, input=transaction.encode(), check=True, capture_output=True)
    fresh, kept = json.loads(done.stdout)
    ours = median_seconds(lambda: verify(minimal, transaction), repeats=500, warm_ups=5)
    instance, data = KeptInstance(minimal), transaction.encode()
    again = median_seconds(lambda: instance.verify(data), repeats=2000, warm_ups=20)
    instance.close()
    return [
        Measurement(
            name="minimal WAT contract, fresh, beside Extism",
            value=ours * 1e6,
            unit="µs",
            against=f"a fresh Extism plug-in of a compiled module ({fresh * 1e6:.0f} µs)",
            ratio=fresh / ours,
        ),
        Measurement(
            name="minimal WAT contract, kept, beside Extism",
            value=again * 1e6,
            unit="µs",
            against=f"a kept Extism plug-in ({kept * 1e6:.1f} µs)",
            ratio=kept / again,
        ),
    ]


def _in_subprocess(program: str, transaction: str) -> bytes:
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        input=transaction.encode(),
        check=True,
        capture_output=True,
        env=workshop.child_environment(),
    )
    return done.stdout
