"""The IOU contract in every language whose tools are here, and a transaction that all accept."""

import json
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks import workshop
from benchmarks.measure import BenchmarkError
from host.domain.packages import CodeWorld
from host.runtime.plugin_loading import make_plugin_manager
from host.tools.cordapps.toolchains import ToolchainMissingError, component_builder
from sandbox import native
from sandbox.guest import Guest
from sandbox.instance import Run, StoreFuel
from sandbox.limits import Limits
from sandbox.outcome import Returned
from sandbox.world import World

SAMPLES = Path("sample_cordapps")
_COMPILED = {"C": "iou_c", "Rust": "iou_rust", "JavaScript": "iou_js"}
_LANGUAGE = {"C": "c", "Rust": "rust", "JavaScript": "javascript"}
_ENDLESS_FUEL = 1 << 60


@cache
def contracts() -> dict[str, Guest]:
    """Language -> its IOU contract; a language whose tools are not installed is left out."""
    sandbox = workshop.sandbox()
    python = workshop.built(SAMPLES / "iou").cpks[0].descriptor.code_digest
    found = {"Python": sandbox.guest(World.CONTRACT, python)}
    build = component_builder(make_plugin_manager(("toolchains",)))
    for language, sample in _COMPILED.items():
        try:
            source = SAMPLES / sample / "contract"
            wasm = build(_LANGUAGE[language], CodeWorld.CONTRACT, source)
        except ToolchainMissingError:
            continue
        component = sandbox.admit(World.CONTRACT, wasm)
        found[language] = sandbox.guest(World.CONTRACT, component.digest)
    return found


def verify(guest: Guest, transaction: str) -> None:
    """One verification in a fresh sandbox."""
    outcome = guest.call("verify", transaction, limits=Limits())
    if not isinstance(outcome, Returned) or outcome.is_error:
        raise BenchmarkError(f"the contract refused the transaction: {outcome}")


class KeptInstance:
    """An instance that answers again and again. Only here: the product restores it."""

    def __init__(self, guest: Guest) -> None:
        self._instance = guest.program.take()
        self._store = self._instance.store
        run = Run(StoreFuel(self._store), limits=Limits(), host=None, granted=frozenset())
        self._leave = native.enter(self._store, run)
        self._instance.begin(Limits())
        self._store.set_fuel(_ENDLESS_FUEL)
        self._store.set_epoch_deadline(_ENDLESS_FUEL)
        self._verify = guest.program.exports["verify"]

    def verify(self, transaction: bytes) -> None:
        is_ok, text, _ = self._store.call(self._verify, transaction, size_max=1 << 20)
        if not is_ok:
            raise BenchmarkError(f"the contract refused the transaction: {text!r}")

    def close(self) -> None:
        self._leave()
        self._instance.end(is_intact=False)


@cache
def transaction() -> str:
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
