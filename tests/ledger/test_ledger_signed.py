"""Signatures of one transaction and of a batch with it, and the notary's in particular."""

import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from host.domain.capability_error import CapabilityError
from host.keys import SchemePublicKeys
from host.ledger.core.batch import BATCH_MAX, batch_proofs, batch_root, signable_batch
from host.ledger.core.components import from_groups
from host.ledger.core.model import Notary
from host.ledger.core.signed import (
    Signature,
    check_notarised,
    check_signature,
    read_signature,
    signable,
)
from tests.ledger.transactions import identifier, transaction

KEYS = SchemePublicKeys()
PRIVATE = ec.generate_private_key(ec.SECP256R1())
NOTARY_KEY = KEYS.canonical(
    PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
)
SIGNED = transaction(notary=Notary(name="O=Notary, L=London, C=GB", key=NOTARY_KEY))
CONTENT = from_groups(SIGNED.groups)
BATCH = [identifier(1), SIGNED.id, identifier(2)]


def by_notary(data_of, **changes):
    draft = Signature(
        by=KEYS.key_id(NOTARY_KEY),
        key=NOTARY_KEY,
        signature=b"",
        timestamp="2026-11-21T06:00:00.000000Z",
        spec="SHA256withECDSA",
        properties=(("platformVersion", "50200"),),
        **changes,
    )
    return draft.with_bytes(PRIVATE.sign(data_of(draft), ec.ECDSA(SHA256())))


def of_batch(ids=BATCH):
    return by_notary(
        lambda draft: signable_batch(batch_root(ids), draft.metadata()),
        proof=batch_proofs(ids)[SIGNED.id],
    )


def alone():
    return by_notary(lambda draft: signable(SIGNED.id, draft.metadata()))


@pytest.mark.parametrize("made", [alone, of_batch, lambda: of_batch([SIGNED.id])])
def test_a_signature_is_right_for_its_transaction_only_and_reads_back(made):
    signature = made()
    check_signature(SIGNED.id, signature, KEYS)
    assert read_signature(signature.to_json()) == signature
    check_notarised(SIGNED.signed_by([signature]), CONTENT, KEYS)
    for other in BATCH[::2]:
        with pytest.raises(CapabilityError) as refused:
            check_signature(other, signature, KEYS)
        assert refused.value.code == "signature-invalid"


def test_the_root_of_a_batch_cannot_pass_for_an_identifier():
    signature = replace(of_batch(), proof=None)
    for claimed in (batch_root(BATCH), SIGNED.id):
        with pytest.raises(CapabilityError):
            check_signature(claimed, signature, KEYS)


@pytest.mark.parametrize(
    "change",
    [
        lambda p: replace(p, index=0),
        lambda p: replace(p, size=p.size + 2),
        lambda p: replace(p, path=p.path[::-1]),
        lambda p: replace(p, path=p.path[:-1]),
        lambda p: replace(p, path=(*p.path, p.path[0])),
        lambda p: replace(p, path=(bytes(32), *p.path[1:])),
    ],
)
def test_a_changed_proof_is_a_wrong_signature_and_of_a_notary_so_named(change):
    signature = of_batch()
    changed = replace(signature, proof=change(signature.proof))
    with pytest.raises(CapabilityError) as refused:
        check_signature(SIGNED.id, changed, KEYS)
    assert refused.value.code == "signature-invalid"
    with pytest.raises(CapabilityError) as refused:
        check_notarised(SIGNED.signed_by([changed]), CONTENT, KEYS)
    assert refused.value.code == "notary-signature-invalid"


def test_a_transaction_with_a_notary_needs_its_signature():
    other = replace(alone(), key="key 0")
    for signatures in ((), (other,)):
        with pytest.raises(CapabilityError) as refused:
            check_notarised(SIGNED.signed_by(signatures), CONTENT, KEYS)
        assert refused.value.code == "notary-required"
    without = transaction(notary=None, window=None)
    check_notarised(without, from_groups(without.groups), KEYS)


@pytest.mark.parametrize(
    "change",
    [
        lambda p: {**p, "more": 1},
        lambda p: {**p, "size": BATCH_MAX + 1},
        lambda p: {**p, "size": 0},
        lambda p: {**p, "index": p["size"]},
        lambda p: {**p, "path": [base64.b64encode(bytes(31)).decode()]},
        lambda p: {**p, "path": ["?"]},
        lambda p: {**p, "path": [p["path"][0].rstrip("=")]},
        lambda p: {**p, "path": p["path"] * 10},
        lambda p: {"size": p["size"]},
        lambda p: None,
    ],
)
def test_a_malformed_proof_is_refused(change):
    item = of_batch().to_json()
    with pytest.raises(CapabilityError) as refused:
        read_signature({**item, "proof": change(item["proof"])})
    assert refused.value.code == "request-invalid"
