"""One contract verification, fresh and in a kept instance, in every language.

Against a Python subprocess for each verification, and against the same Python contract in this very
process without any isolation.
"""

import json
import subprocess
import sys

from wasmtime import wat2wasm

from benchmarks import contracts, workshop
from benchmarks.contracts import KeptInstance, verify
from benchmarks.measure import Measurement, median_seconds
from benchmarks.peers import PeerMissingError, python_peer
from sandbox.guest import Guest
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


def run() -> list[Measurement]:
    transaction = contracts.transaction()
    process = median_seconds(lambda: _in_subprocess(_PEER, transaction), repeats=9)
    bare = float(_in_subprocess(_NATIVE, transaction))
    sandbox = workshop.sandbox()
    minimal = sandbox.admit(World.CONTRACT, bytes(wat2wasm(MINIMAL_WAT)))
    guests = {**contracts.contracts(), "minimal WAT": sandbox.guest(World.CONTRACT, minimal.digest)}
    fresh = [_fresh(language, guest, process) for language, guest in guests.items()]
    kept = [_kept(language, guest, bare) for language, guest in guests.items()]
    return [*fresh, *kept, *_beside_extism(guests["minimal WAT"])]


def _fresh(language: str, guest: Guest, process: float) -> Measurement:
    transaction = contracts.transaction()
    seconds = median_seconds(lambda: verify(guest, transaction), repeats=400, warm_ups=5)
    return Measurement(
        name=f"{language} contract, fresh sandbox",
        value=seconds * 1e6,
        unit="µs",
        against=f"a Python subprocess per verification ({process * 1000:.1f} ms)",
        ratio=process / seconds,
    )


def _kept(language: str, guest: Guest, bare: float) -> Measurement:
    data = contracts.transaction().encode()
    kept = KeptInstance(guest)
    seconds = median_seconds(lambda: kept.verify(data), repeats=2000, warm_ups=20)
    kept.close()
    return Measurement(
        name=f"{language} contract, kept instance",
        value=seconds * 1e6,
        unit="µs",
        against=f"the Python contract without a sandbox ({bare * 1e6:.1f} µs)",
        ratio=bare / seconds,
        note="metering on; the product makes a fresh instance instead",
    )


def _beside_extism(minimal: Guest) -> list[Measurement]:
    """The smallest contract beside the smallest Extism plug-in, both called with a transaction."""
    transaction = contracts.transaction()
    try:
        interpreter = python_peer("extism", _EXTISM)
    except PeerMissingError as missing:
        return [Measurement(name="Extism", value=0, unit="", note=f"not measured: {missing}")]
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
