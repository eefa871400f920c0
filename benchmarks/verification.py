"""One contract verification in a fresh sandbox, against a Python subprocess per check."""

import json
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from wasmtime import wat2wasm

from benchmarks import workshop
from benchmarks.measure import Measurement, median_seconds
from sandbox.guest import Guest
from sandbox.limits import Limits
from sandbox.outcome import Returned
from sandbox.world import World

_IOU = Path("sample_cordapps/iou")
_MINIMAL_WAT = """
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
_PEER = """
import sys
sys.path[:0] = ["sandbox/sdk", "sample_cordapps/iou/contracts"]
import iou_contracts
from cordapp import guest
guest.verify(sys.stdin.read())
"""


def run() -> list[Measurement]:
    transaction = _transaction()
    sandbox = workshop.sandbox()
    contract = workshop.built(_IOU).cpks[0]
    python = sandbox.guest(World.CONTRACT, contract.descriptor.component_digest)
    minimal = sandbox.guest(World.CONTRACT, sandbox.admit(World.CONTRACT, _minimal()).digest)
    fresh = median_seconds(lambda: _verify(python, transaction), repeats=300, warm_ups=5)
    small = median_seconds(lambda: _verify(minimal, transaction), repeats=1000, warm_ups=5)
    process = median_seconds(lambda: _in_subprocess(transaction), repeats=9)
    against = f"a Python subprocess per verification ({process * 1000:.1f} ms)"
    return [
        Measurement(
            name="IOU contract, fresh sandbox",
            value=fresh * 1000,
            unit="ms",
            against=against,
            ratio=process / fresh,
        ),
        Measurement(
            name="minimal WAT contract, fresh sandbox",
            value=small * 1e6,
            unit="µs",
            against=against,
            ratio=process / small,
        ),
    ]


def _verify(guest: Guest, transaction: str) -> None:
    outcome = guest.call("verify", transaction, limits=Limits())
    if not isinstance(outcome, Returned) or outcome.is_error:
        sys.exit(f"the contract refused the benchmark's transaction: {outcome}")


def _in_subprocess(transaction: str) -> None:
    subprocess.run(
        [sys.executable, "-I", "-c", _PEER],
        input=transaction.encode(),
        check=True,
        env=workshop.child_environment(),
    )


def _minimal() -> bytes:
    return bytes(wat2wasm(_MINIMAL_WAT))


def _transaction() -> str:
    """An issue of one IOU, as the ledger would show it to the contract."""
    keys = [_key(), _key()]
    iou = {
        "linear_id": "1",
        "borrower": "O=Alice, L=London, C=GB",
        "lender": "O=Bob, L=London, C=GB",
        "borrower_key": keys[0],
        "lender_key": keys[1],
        "amount": 100,
        "currency": "GBP",
        "paid": 0,
    }
    output = {
        "type": "iou_contracts.Iou",
        "contract": "iou_contracts.IouContract",
        "value": iou,
        "participants": keys,
        "encumbrance": None,
    }
    return json.dumps(
        {
            "id": "SHA-256D:" + "0" * 64,
            "metadata": {},
            "notary": None,
            "timeWindow": None,
            "signatories": keys,
            "inputs": [],
            "references": [],
            "outputs": [output],
            "commands": [{"type": "iou_contracts.Issue", "value": {}}],
        }
    )


def _key() -> str:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
