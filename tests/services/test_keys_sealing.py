"""What the key store encrypts and decrypts for tenants, in its process and over the socket."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_public_key

from host.adapters.sqlite.database import Database
from host.domain.capability_error import CapabilityError
from host.domain.errors import RequestInvalidError
from host.domain.group_parameters import signed_bytes
from host.keys import SCHEMES, SigningCapability
from host.keys.errors import (
    KeyNotFoundError,
    KeySchemeUnknownError,
    PublicKeyInvalidError,
    SealedInvalidError,
    SignatureSpecInvalidError,
)
from host.keys.schemes import SPECS, X25519
from host.keys.sealing import schemes_of
from host.network.link.handshake import SIGNED_BY_INITIATOR, SIGNED_BY_RESPONDER
from host.ports.keys import FLOW_CATEGORIES, KeyCategory, RotationStatus
from host.runtime.rpc import RpcClient, RpcServer, Service
from host.runtime.wiring.services import KEYS
from tests.services.support import ALICE, BOB, context, holding
from tests.services.test_keys import text

TENANT = holding(ALICE).short_hash
OTHER = holding(BOB).short_hash
EC = "CORDA.ECDSA.SECP256R1"
KEMS = {EC: KEM.P256, X25519: KEM.X25519}


@pytest.fixture(params=["here", "elsewhere"])
def store(request, keys, tmp_path):
    """The key store in this process, and as workers of other kinds reach it."""
    if request.param == "here":
        yield keys
        return
    server = RpcServer(tmp_path / "crypto-0.sock", b"k" * 32, [Service(KEYS, keys)])
    server.start()
    client = RpcClient(tmp_path, "crypto-*", b"k" * 32)
    yield client.proxy(KEYS)
    client.close()
    assert server.stop(10)


def test_what_is_sealed_opens_for_its_tenant_and_purpose_alone(store):
    sealed = store.seal("p2p", b"session keys", "so/1")
    assert b"session keys" not in sealed
    assert store.open("p2p", sealed, "so/1") == b"session keys"
    assert store.seal("p2p", b"session keys", "so/1") != sealed
    for tenant, changed, purpose in (
        ("p2p", sealed, "so/2"),
        (TENANT, sealed, "so/1"),
        ("p2p", sealed[:-1], "so/1"),
        ("p2p", b"", "so/1"),
        ("p2p", b"\xff" * 64, "so/1"),
        ("p2p", b"\x00\x00\x00\x02" + sealed[4:], "so/1"),
    ):
        with pytest.raises(SealedInvalidError):
            store.open(tenant, changed, purpose)
    with pytest.raises(RequestInvalidError):
        store.seal("nobody", b"", "x")


def test_what_is_sealed_is_gone_with_the_rotated_key(keys):
    sealed = keys.seal("p2p", b"session keys", "so/1")
    keys.start_rotation("p2p")
    while keys.rotate_some("p2p").status is RotationStatus.IN_PROGRESS:
        pass
    with pytest.raises(SealedInvalidError):
        keys.open("p2p", sealed, "so/1")
    assert keys.open("p2p", keys.seal("p2p", b"new", "so/1"), "so/1") == b"new"


def test_only_the_first_sealing_of_a_tenant_writes(keys, monkeypatch):
    """Each handshake of a link seals a session: it waits for no writer of the registers."""
    keys.seal("p2p", b"session keys", "so/1")
    monkeypatch.delattr(Database, "transact")
    assert keys.open("p2p", keys.seal("p2p", b"more", "so/1"), "so/1") == b"more"


@pytest.mark.parametrize("scheme", KEMS)
def test_messages_to_a_key_open_with_its_purpose_alone(store, scheme):
    key = store.create(TENANT, KeyCategory.PRE_AUTH, "ecdh", scheme)
    to = load_pem_public_key(key.public_key.encode())
    suite = Suite(KEMS[scheme], KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    sealed = suite.encrypt(b"a registration", to, b"cordbox/v1/registration" + b"r" * 32)
    info = b"cordbox/v1/registration" + b"r" * 32
    assert store.open_sealed(TENANT, key.public_key, sealed, info) == b"a registration"
    for changed, purpose in (
        (sealed, info[:-1]),
        (sealed[:-1] + bytes([sealed[-1] ^ 1]), info),
        (sealed[:40], info),
        (b"", info),
        (b"\x00" * len(sealed), info),
    ):
        with pytest.raises(SealedInvalidError):
            store.open_sealed(TENANT, key.public_key, changed, purpose)
    with pytest.raises(KeyNotFoundError):
        store.open_sealed(OTHER, key.public_key, sealed, info)


def test_only_keys_of_pre_auth_open_messages(store):
    other = store.create(TENANT, KeyCategory.LEDGER, "ledger", EC)
    with pytest.raises(KeyNotFoundError):
        store.open_sealed(TENANT, other.public_key, b"x" * 100, b"")
    rsa = store.create(TENANT, KeyCategory.PRE_AUTH, "ed", "CORDA.EDDSA.ED25519")
    with pytest.raises(SealedInvalidError):
        store.open_sealed(TENANT, rsa.public_key, b"x" * 100, b"")


def test_keys_that_others_encrypt_to_are_of_pre_auth_and_sign_nothing(store):
    for category in KeyCategory:
        assert (X25519 in schemes_of(category)) == (category is KeyCategory.PRE_AUTH)
        if category is not KeyCategory.PRE_AUTH:
            with pytest.raises(KeySchemeUnknownError):
                store.create(TENANT, category, "k", X25519)
    key = store.create(TENANT, KeyCategory.PRE_AUTH, "k", X25519)
    for spec in SPECS:
        with pytest.raises(PublicKeyInvalidError):
            store.sign(TENANT, key.public_key, b"data", spec)
    assert list(store.find_mine(TENANT, [key.public_key])) == [key.public_key]


def test_only_keys_of_tls_leave_the_store(store):
    for category in KeyCategory:
        key = store.create(TENANT, category, f"of-{category}", EC)
        if category is KeyCategory.TLS:
            private = load_der_private_key(store.tls_key(TENANT, key.public_key), password=None)
            assert isinstance(private, ec.EllipticCurvePrivateKey)
            assert private.public_key() == load_pem_public_key(key.public_key.encode())
            with pytest.raises(KeyNotFoundError):
                store.tls_key(OTHER, key.public_key)
        else:
            with pytest.raises(KeyNotFoundError):
                store.tls_key(TENANT, key.public_key)


RESERVED = {
    "a handshake's first signature": SIGNED_BY_INITIATOR,
    "a handshake's second signature": SIGNED_BY_RESPONDER,
    "group parameters": signed_bytes(b"{}"),
    **{
        f"a text of {name}": b" " * 64 + f"cordbox/v1/{name}".encode() + b"\x00" + b"t" * 32
        for name in ("member-context", "mgm-context", "group-head", "registration", "export", "")
    },
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_flows_sign_nothing_that_speaks_for_their_member(keys, scheme):
    """Also with ledger keys, which are session keys in a group of policy Combined."""
    signing = SigningCapability(keys)
    for category in FLOW_CATEGORIES:
        key = keys.create(TENANT, category, f"{category}", scheme)
        specs = [s for s, spec in SPECS.items() if _fits(keys, key, s)]
        assert specs
        for spec in specs:
            for reserved in RESERVED.values():
                request = {"bytes": text(reserved), "key": key.public_key, "spec": spec}
                with pytest.raises(CapabilityError) as refused:
                    signing.call(context(ALICE), "sign", request)
                assert refused.value.code == "signing-reserved"
    for near in (b" " * 63 + b"cordbox/v1/link", b" " * 64 + b"cordbox/v", b"cordbox/v1/link"):
        request = {"bytes": text(near), "key": key.public_key, "spec": spec}
        assert signing.call(context(ALICE), "sign", request)["bytes"]


def _fits(keys, key, spec):
    try:
        keys.sign(TENANT, key.public_key, b"", spec)
    except SignatureSpecInvalidError:
        return False
    return True
