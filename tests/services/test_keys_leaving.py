"""Keys that leave a key store with their node, and are wrapped anew in another one."""

from dataclasses import replace

import pytest

from host.domain.errors import RequestInvalidError
from host.keys import SCHEMES, SchemePublicKeys
from host.keys.errors import KeyAliasExistsError, KeyAliasInvalidError, KeyImportError
from host.ports.keys import KeyCategory
from tests.services.support import ALICE, BOB, holding

TENANT, OTHER = holding(ALICE).short_hash, holding(BOB).short_hash
EC = "CORDA.ECDSA.SECP256R1"


@pytest.fixture
def exported(keys):
    for scheme in SCHEMES:
        keys.create(TENANT, KeyCategory.LEDGER, scheme, scheme)
    keys.create(TENANT, KeyCategory.PRE_AUTH, "ecdh", "CORDA.X25519")
    keys.create(OTHER, KeyCategory.LEDGER, "a", EC)
    return keys.export_keys(TENANT)


def test_a_node_signs_with_its_keys_after_they_were_erased_and_imported(keys, exported):
    before = keys.list(TENANT)
    keys.erase(TENANT)
    assert keys.list(TENANT) == []
    keys.import_keys(TENANT, exported)
    keys.import_keys(TENANT, exported)  # what is there stays
    after = keys.list(TENANT)
    assert {(k.key_id, k.alias, k.scheme, k.created_at) for k in after} == {
        (k.key_id, k.alias, k.scheme, k.created_at) for k in before
    }
    for key in after[:-1]:
        spec = SCHEMES[key.scheme].default_spec
        signature = keys.sign(TENANT, key.public_key, b"data", spec)
        assert SchemePublicKeys().verify(key.public_key, b"data", signature, spec)
    assert [key.alias for key in keys.list(OTHER)] == ["a"]


def test_a_private_key_is_not_shown(exported):
    assert "private_key" not in repr(exported[0])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"private_key": b"none"}, KeyImportError),
        ({"scheme": "CORDA.RSA"}, KeyImportError),
        ({"created_at": 2**63}, KeyImportError),
        ({"alias": "../a"}, KeyAliasInvalidError),
    ],
)
def test_a_wrong_key_is_refused_and_nothing_is_stored(keys, exported, change, error):
    ec = next(key for key in exported if key.scheme == EC)
    with pytest.raises(error):
        keys.import_keys(OTHER, [exported[0], replace(ec, **change)])
    assert [key.alias for key in keys.list(OTHER)] == ["a"]


def test_a_key_under_the_name_of_another_is_refused(keys, exported):
    first, second = exported[:2]
    with pytest.raises(KeyImportError, match="public key"):
        keys.import_keys(OTHER, [replace(first, public_key=second.public_key)])
    with pytest.raises(KeyAliasExistsError, match="another key 'a'"):
        keys.import_keys(OTHER, [replace(first, alias="a")])


def test_a_key_that_encrypts_is_no_key_of_a_category_that_signs(keys, exported):
    ecdh = next(key for key in exported if key.alias == "ecdh")
    with pytest.raises(KeyImportError, match="category LEDGER"):
        keys.import_keys(OTHER, [replace(ecdh, category=KeyCategory.LEDGER)])


@pytest.mark.parametrize(
    "private_key", [b"", b"no key", b"\x30\x80" * 5000, b"\x30\x03\x02\x01\x00"]
)
def test_bytes_that_are_no_private_key_are_refused(keys, exported, private_key):
    with pytest.raises(KeyImportError, match="'a' cannot be read"):
        keys.import_keys(OTHER, [replace(exported[0], alias="a", private_key=private_key)])


@pytest.mark.parametrize("tenant", ["p2p", "master", "x"])
def test_keys_of_the_cluster_do_not_leave(keys, tenant):
    for act in (keys.export_keys, keys.erase, lambda t: keys.import_keys(t, [])):
        with pytest.raises(RequestInvalidError):
            act(tenant)
