"""What the pure parts of the ledger refuse before anything is looked up."""

import base64
from types import SimpleNamespace

import pytest

from host.domain.capability_error import CapabilityError
from host.ledger.core import builders, components
from host.ledger.core.digests import verification_of
from host.ledger.core.signed import (
    Signature,
    check_signatures,
    read_signature,
    read_signed,
    unsigned,
)
from host.ledger.errors import TransactionInvalidError
from host.ledger.notary import signer
from host.ledger.notary.signer import NotaryKey, NotarySigner

SALT = base64.b64encode(bytes(32)).decode()
SIGNATURE = Signature(
    by="A" * 12,
    key="key",
    signature=b"s",
    timestamp="2026-11-21T06:00:00.000000Z",
    spec="spec",
    properties=(),
)
GROUPS = tuple(() for _ in components.Group)


def transaction(**changes):
    signed = unsigned(bytes(32), GROUPS)
    return {**signed.to_json(), **changes}


def test_the_plain_one_is_read():
    assert read_signed(transaction()).groups == GROUPS
    assert read_signature(SIGNATURE.to_json()) == SIGNATURE


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"privacySalt": base64.b64encode(bytes(31)).decode()}, "privacy salt"),
        ({"privacySalt": "AB=="}, "no canonical base64"),
        ({"privacySalt": "*"}, "no base64"),
        ({"id": "SHA-256D:00"}, "has components of transaction"),
        ({"componentGroups": [[]]}, "component groups"),
        ({"componentGroups": [[1]]}, "lists of texts"),
        ({"componentGroups": [["\ud800"], *([[]] * (len(GROUPS) - 1))]}, "not Unicode"),
    ],
)
def test_a_transaction_that_cannot_be_is_refused(changes, words):
    with pytest.raises(CapabilityError) as refused:
        read_signed(transaction(**changes))
    assert words in refused.value.message


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"properties": {str(n): "" for n in range(21)}}, "at most 20 entries"),
        ({"timestamp": "today"}, "no instant: 'today'"),
    ],
)
def test_a_signature_that_cannot_be_is_refused(metadata, words):
    item = SIGNATURE.to_json()
    with pytest.raises(CapabilityError) as refused:
        read_signature({**item, "metadata": {**item["metadata"], **metadata}})
    assert words in refused.value.message


def test_each_signatory_signs_once_and_nobody_else_does():
    public_keys = SimpleNamespace(key_id=lambda key: SIGNATURE.by, verify=lambda *_: True)
    content = SimpleNamespace(signatories=(SIGNATURE.key,), notary=None)
    signed = unsigned(bytes(32), GROUPS)
    check_signatures(signed.signed_by([SIGNATURE]), content, public_keys)
    with pytest.raises(CapabilityError, match="two signatures by key"):
        check_signatures(signed.signed_by([SIGNATURE] * 2), content, public_keys)
    content.signatories = ()
    with pytest.raises(CapabilityError, match="is no signatory"):
        check_signatures(signed.signed_by([SIGNATURE]), content, public_keys)


def test_a_notary_is_one_of_the_group_parameters():
    with pytest.raises(TransactionInvalidError, match="not one of the group parameters"):
        builders._notary({"notary": "O=Nobody, L=London, C=GB"}, ())


@pytest.mark.parametrize("size", [True, "2", 1.5])
def test_the_size_of_an_encumbrance_group_is_a_whole_number(size):
    with pytest.raises(TypeError, match="no whole number"):
        components._read_state({"notaryName": None, "encumbranceGroupSize": size}, {})


def test_a_run_that_gave_no_verdict_is_no_verification():
    receipt = '{"code": {}, "engine": {}, "outcome": {"kind": "trap"}}'
    assert verification_of("SHA-256:00", receipt) is None


def test_a_notary_keeps_the_queues_of_the_newest_keys(monkeypatch):
    monkeypatch.setattr(signer, "_KEYS_KEPT_MAX", 1)
    keys = SimpleNamespace(sign=lambda *_: b"signed")
    public_keys = SimpleNamespace(key_id=lambda _: "A" * 12, default_spec=lambda _: "spec")
    made = NotarySigner(keys=keys, public_keys=public_keys)
    for name in ("first", "second"):
        key = NotaryKey(node="AB" * 6, key=name, properties=())
        assert made.sign(key, "SHA-256D:00", now=0).signature == b"signed"
    assert [key.key for key in made._batches] == ["second"]
