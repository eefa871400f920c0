"""The functions of vaults in another process: called over a socket."""

import pytest

from host.domain.capability_error import CapabilityError
from host.domain.errors import UnavailableError
from host.runtime.rpc import RpcClient, RpcServer, Service
from host.runtime.wiring.services import (
    VAULT_FUNCTIONS,
    RemoteVaultFunctions,
    ServedVaultFunctions,
)
from tests.services.ledger_support import ScriptedFunctions
from tests.services.support import ALICE, cpi, holding

KEY = b"k" * 32
NODE = holding(ALICE).short_hash
REQUEST = {
    "transaction": {"id": "SHA-256D:AB", "outputs": [{"type": "iou.Iou"}]},
    "outputs": [0],
    "myKeys": ["PEM"],
}


class OneCpi:
    """The `Packages` port over one CPI."""

    def __init__(self, record):
        self._record = record

    def get(self, checksum):
        return self._record if checksum == self._record.file_checksum else None


@pytest.fixture
def worker(tmp_path):
    functions, record = ScriptedFunctions(), cpi()
    served = ServedVaultFunctions(functions, OneCpi(record))
    server = RpcServer(tmp_path / "verification-0.sock", KEY, [Service(VAULT_FUNCTIONS, served)])
    server.start()
    client = RpcClient(tmp_path, "verification-*", KEY)
    yield functions, record, RemoteVaultFunctions(client.proxy(VAULT_FUNCTIONS))
    client.close()
    server.stop(10)


def test_what_the_functions_say_comes_back(worker):
    functions, record, remote = worker
    functions.answer = lambda state, node: {"visible": True, "json": {state["type"]: {"n": 1}}}
    answer = remote.record(record, REQUEST, node=NODE)
    assert list(answer) == [{"index": 0, "visible": True, "json": {"iou.Iou": {"n": 1}}}]
    assert functions.asked == [(NODE, REQUEST)]


def test_a_function_that_fails_fails_here(worker):
    functions, record, remote = worker

    def fail(*_):
        raise CapabilityError("vault-function-failed", "no JSON")

    functions.answer = fail
    with pytest.raises(CapabilityError, match="no JSON") as failed:
        remote.record(record, REQUEST, node=NODE)
    assert failed.value.code == "vault-function-failed"


def test_a_package_that_was_replaced_is_asked_for_again(worker):
    _, _, remote = worker
    with pytest.raises(UnavailableError, match="has been replaced"):
        remote.record(cpi(name="other"), REQUEST, node=NODE)
