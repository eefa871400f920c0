"""Receipts are the same for the same run, on every thread and in every process."""

import json
import subprocess
import sys
import threading
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wasmtime import component as wc
from wasmtime import wat2wasm

from sandbox import engine
from sandbox.deadline import Ticker
from sandbox.errors import OutOfFuelError
from sandbox.limits import Limits, Usage
from sandbox.loading import loaded_guest
from sandbox.receipts import RunFacts, receipt_of, text_digest
from sandbox.runnable import RunRequest
from sandbox.world import World

CODE = "x = {str(n): hash(str(n)) for n in range(300)}\nassert sorted({'a', 'b', 'c'})\nraise ValueError(','.join({'p', 'q', 'r', 's'}))"


def receipt(guest) -> str:
    return guest.call("verify", CODE, limits=Limits()).receipt


def test_a_receipt_says_what_ran_and_how_it_ended(contract):
    outcome = contract.call("verify", "pass", limits=Limits(fuel_max=10**9))
    value = json.loads(outcome.receipt)
    assert value["code"] == {
        "image": contract.component.digest,
        "runtime": contract.component.runtime,
        "world": "contract",
    }
    assert value["outcome"] == {"kind": "ok", "value": None}
    assert value["usage"]["fuel"] == outcome.usage.fuel > 0
    assert value["limits"]["fuel_max"] == 10**9
    assert value["engine"]["wasmtime"]
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    assert outcome.receipt == canonical


def test_a_stopped_run_has_a_receipt(contract):
    with pytest.raises(OutOfFuelError) as caught:
        contract.call("verify", "while 1: pass", limits=Limits(fuel_max=10**7))
    value = json.loads(caught.value.receipt)
    assert value["outcome"] == {"kind": "stopped", "code": "out-of-fuel"}
    assert value["usage"]["fuel"] == 10**7


def test_receipts_are_identical_over_threads(contract):
    receipts: list[str] = []
    threads = [
        threading.Thread(target=lambda: receipts.extend(receipt(contract) for _ in range(5)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receipts) == 20
    assert set(receipts) == {receipt(contract)}


def test_receipts_are_identical_over_processes(contract, cache_dir):
    script = f"""
import sys
from pathlib import Path
from sandbox.limits import Limits
from sandbox.runtime import Sandbox
from sandbox.world import World
guest = Sandbox(cache_dir=Path(sys.argv[1])).guest(World.CONTRACT, sys.argv[2])
print(guest.call("verify", {CODE!r}, limits=Limits()).receipt)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(cache_dir), contract.component.digest],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == receipt(contract)


@given(
    export=st.text(max_size=5),
    argument=st.none() | st.text(max_size=5),
    component=st.text(max_size=5),
    runtime=st.none() | st.text(max_size=5),
    outcome=st.dictionaries(st.text(max_size=5), st.none() | st.text(max_size=5)),
    numbers=st.lists(st.integers(0, 2**63), min_size=4, max_size=4),
)
def test_a_receipt_is_the_canonical_json_of_its_parts(
    export, argument, component, runtime, outcome, numbers
):
    limits = Limits(fuel_max=numbers[0])
    usage = Usage(fuel=numbers[1], host_calls=numbers[2], log_bytes=numbers[3])
    request = RunRequest(export=export, argument=argument, limits=limits)
    facts = RunFacts(world="contract", component=component, runtime=runtime, request=request)
    value = {
        "v": 2,
        "code": {
            "component" if runtime is None else "image": component,
            "runtime": runtime,
            "world": "contract",
        },
        "engine": {"profile": engine.profile_digest(), "wasmtime": engine.engine_version()},
        "input": {"export": export, "argument": text_digest(argument)},
        "limits": asdict(limits),
        "outcome": outcome,
        "usage": asdict(usage),
    }
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    assert receipt_of(facts, usage, outcome) == canonical


def test_another_argument_gives_another_receipt(contract):
    one = contract.call("verify", "pass", limits=Limits())
    two = contract.call("verify", "pass ", limits=Limits())
    assert one.receipt != two.receipt


@pytest.mark.parametrize("level", ["none", "speed", "speed_and_size"])
def test_receipts_do_not_depend_on_the_optimisation_level(level, texts, monkeypatch, sandbox):
    """The compiler may make faster or smaller code; what is counted is the guest's own."""
    loop = """(local $n i32)
      (loop $again (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $n) (i32.const 1000))))
      (i32.const 80)"""
    wasm = bytes(wat2wasm(texts.contract(loop)))
    component = sandbox.admit(World.CONTRACT, wasm)
    expected = sandbox.guest(World.CONTRACT, component.digest).call("verify", "{}", limits=Limits())
    monkeypatch.setattr(engine, "SETTINGS", {**engine.SETTINGS, "cranelift_opt_level": level})
    other = engine.new_engine()
    guest = loaded_guest(component, other, wc.Component(other, wasm), Ticker(other))
    assert guest.call("verify", "{}", limits=Limits()).receipt == expected.receipt
