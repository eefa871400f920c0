"""Receipts are the same for the same run, on every thread and in every process."""

import json
import subprocess
import sys
import threading

import pytest

from sandbox.errors import OutOfFuelError
from sandbox.limits import Limits

CODE = "x = {str(n): hash(str(n)) for n in range(300)}\nassert sorted({'a', 'b', 'c'})\nraise ValueError(','.join({'p', 'q', 'r', 's'}))"


def receipt(guest) -> str:
    return guest.call("verify", CODE, limits=Limits()).receipt


def test_a_receipt_says_what_ran_and_how_it_ended(contract):
    outcome = contract.call("verify", "pass", limits=Limits(fuel_max=10**9))
    value = json.loads(outcome.receipt)
    assert value["code"] == {
        "component": contract.component.digest,
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


def test_another_argument_gives_another_receipt(contract):
    one = contract.call("verify", "pass", limits=Limits())
    two = contract.call("verify", "pass ", limits=Limits())
    assert one.receipt != two.receipt
