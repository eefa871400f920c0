"""The key store as workers of other kinds reach it: over a socket."""

import pytest

from host.keys.errors import RotationInProgressError
from host.ports.keys import KeyCategory, RotationStatus
from host.runtime.rpc import RpcClient, RpcServer, Service
from host.runtime.wiring.services import KEYS
from tests.services.support import ALICE, holding

TENANT = holding(ALICE).short_hash
SECRET = b"k" * 32


@pytest.fixture
def remote(tmp_path, keys):
    server = RpcServer(tmp_path / "crypto-0.sock", SECRET, [Service(KEYS, keys)])
    server.start()
    client = RpcClient(tmp_path, "crypto-*", SECRET)
    yield client.proxy(KEYS)
    client.close()
    assert server.stop(10)


def test_keys_hsms_and_rotations_cross_the_socket_whole(remote, keys):
    assigned = remote.assign_hsm(TENANT, KeyCategory.LEDGER)
    assert remote.hsm(TENANT, KeyCategory.LEDGER) == assigned
    assert remote.hsm(TENANT, KeyCategory.TLS) is None
    made = remote.create(TENANT, KeyCategory.LEDGER, "a", "CORDA.ECDSA.SECP256R1")
    assert list(remote.list(TENANT)) == list(keys.list(TENANT)) == [made]
    assert remote.rotation(TENANT) is None
    started = remote.start_rotation(TENANT)
    assert started == keys.rotation(TENANT)
    with pytest.raises(RotationInProgressError):
        remote.start_rotation(TENANT)
    while remote.rotate_some(TENANT).status is RotationStatus.IN_PROGRESS:
        pass
    assert remote.rotation(TENANT).keys == keys.rotation(TENANT).keys != ()
