"""Corda's CryptoProcessorTests by their names; those that do not apply are listed with reasons."""

import pytest

from host.domain.ids import ShortHash
from host.keys import SCHEMES, SchemePublicKeys, SigningCapability
from host.keys.errors import KeyNotFoundError
from host.ports.keys import KeyCategory
from tests.services.support import ALICE, BOB, context, holding

TENANT, OTHER = holding(ALICE).short_hash, holding(BOB).short_hash
EC = "CORDA.ECDSA.SECP256R1"
PUBLIC = SchemePublicKeys()


def test_should_be_able_to_get_supported_schemes(keys):
    for scheme in SCHEMES:
        assert keys.create(TENANT, KeyCategory.LEDGER, scheme, scheme).scheme == scheme


def test_should_not_find_unknown_public_key_by_its_id(keys):
    keys.create(TENANT, KeyCategory.LEDGER, "mine", EC)
    stranger = keys.create(OTHER, KeyCategory.LEDGER, "theirs", EC)
    assert stranger.key_id not in {key.key_id for key in keys.list(TENANT)}
    with pytest.raises(KeyNotFoundError, match=stranger.key_id):
        keys.sign(TENANT, stranger.public_key, b"x", "SHA256withECDSA")


def test_should_return_empty_collection_when_lookup_filter_does_not_match(keys):
    keys.create(TENANT, KeyCategory.LEDGER, "mine", EC)
    assert list(keys.list(OTHER)) == []
    assert list(keys.find_mine(TENANT, [])) == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_should_generate_a_new_key_pair_using_alias_then_find_it_and_use_for_signing(keys, scheme):
    made = keys.create(TENANT, KeyCategory.LEDGER, "alias", scheme)
    (found,) = [key for key in keys.list(TENANT) if key.alias == "alias"]
    assert found == made
    spec = PUBLIC.default_spec(found.public_key)
    signature = keys.sign(TENANT, found.public_key, b"data", spec)
    assert PUBLIC.verify(made.public_key, b"data", signature, spec)


def test_filter_my_keys_filters_and_returns_keys_owned_by_the_specified_vnode(keys):
    mine = [keys.create(TENANT, KeyCategory.LEDGER, f"k{n}", EC).public_key for n in range(2)]
    theirs = keys.create(OTHER, KeyCategory.LEDGER, "k", EC).public_key
    assert list(keys.find_mine(TENANT, [mine[1], theirs, mine[0]])) == [mine[1], mine[0]]
    found = SigningCapability(keys).call(context(ALICE), "find-keys", {"keys": [theirs, *mine]})
    assert found == [None, *mine]


def test_lookup_works_for_both_short_key_ids_and_full_key_ids(keys):
    """The short id is the start of the full one, and both are functions of the key alone."""
    key = keys.create(TENANT, KeyCategory.LEDGER, "k", EC)
    full = PUBLIC.digest(key.public_key).removeprefix("SHA-256:")
    assert ShortHash(full[:12]) == PUBLIC.key_id(key.public_key) == key.key_id
