"""Signed transactions: component groups, the salt that hides them, and signatures."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, replace

from host.domain.errors import InvalidInputError
from host.domain.instants import is_instant
from host.domain.json import JsonObject, JsonValue, canonical_json
from host.ledger.core.batch import BATCH_MAX, BatchProof, proven_batch_root, signable_batch
from host.ledger.core.components import Groups, check_limits
from host.ledger.core.merkle import transaction_id
from host.ledger.core.model import Transaction
from host.ledger.core.proofs import HASH_BYTES, ProofInvalidError
from host.ledger.errors import (
    NotaryRequiredError,
    NotarySignatureInvalidError,
    SignatureInvalidError,
    SignatureMissingError,
    TransactionInvalidError,
)
from host.ports.public_keys import PublicKeys
from host.ports.requests import (
    as_object,
    check_fields,
    invalid_request,
    take_int,
    take_list,
    take_object,
    take_text,
)

_SALT_BYTES_MIN, _SALT_BYTES_MAX = 32, 256
_SIGNATURES_MAX = 200
_PROPERTIES_MAX = 20
_PROPERTY_CHARACTERS_MAX = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One signature. `by` is the key's id; `properties` describe the signer's code.

    `proof` is the transaction's place in the batch that was signed; None if it was signed alone.
    """

    by: str
    key: str
    signature: bytes
    timestamp: str
    spec: str
    properties: tuple[tuple[str, str], ...]
    proof: BatchProof | None = None

    def metadata(self) -> JsonObject:
        return {
            "timestamp": self.timestamp,
            "signatureSpec": self.spec,
            "properties": dict(self.properties),
        }

    def with_bytes(self, signature: bytes) -> "Signature":
        return replace(self, signature=signature)

    def to_json(self) -> JsonObject:
        single: JsonObject = {
            "by": self.by,
            "key": self.key,
            "signature": base64.b64encode(self.signature).decode(),
            "metadata": self.metadata(),
        }
        return single if self.proof is None else {**single, "proof": _proof_json(self.proof)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTransaction:
    """`id` is always the identifier of `privacy_salt` and `groups`."""

    id: str
    privacy_salt: bytes
    groups: Groups
    signatures: tuple[Signature, ...] = ()

    def to_json(self) -> JsonObject:
        """The JSON form for guests (docs/reference/host-api.md)."""
        return {
            "id": self.id,
            "privacySalt": base64.b64encode(self.privacy_salt).decode(),
            "componentGroups": [list(group) for group in self.groups],
            "signatures": [signature.to_json() for signature in self.signatures],
        }

    def signed_by(self, signatures: Sequence[Signature]) -> "SignedTransaction":
        return replace(self, signatures=(*self.signatures, *signatures))


def privacy_salt(request_id: str) -> bytes:
    """The salt of the transaction that a call makes: the same if the call is repeated."""
    return f"{request_id}-0".encode().ljust(_SALT_BYTES_MIN, b"\0")


def unsigned(salt: bytes, groups: Groups) -> SignedTransaction:
    """A transaction without signatures, with its identifier."""
    leaves = [[leaf.encode() for leaf in group] for group in groups]
    return SignedTransaction(id=transaction_id(salt, leaves), privacy_salt=salt, groups=groups)


def read_signed(request: JsonObject) -> SignedTransaction:
    """Read a signed transaction and check its identifier, not yet its content or signatures.

    Raises:
        CapabilityError: `request-invalid`, or `transaction-invalid` (`id-mismatch`,
            `components-malformed`, `transaction-too-large`, `privacy-salt-malformed`).
    """
    check_fields(request, ("id", "privacySalt", "componentGroups", "signatures"))
    signatures = tuple(
        read_signature(as_object(item, "signatures"))
        for item in take_list(request, "signatures", length_max=_SIGNATURES_MAX)
    )
    groups = _read_groups(take_list(request, "componentGroups"))
    salt = _base64(request, "privacySalt")
    if not _SALT_BYTES_MIN <= len(salt) <= _SALT_BYTES_MAX:
        raise TransactionInvalidError(
            "privacy-salt-malformed",
            f"privacy salt must have {_SALT_BYTES_MIN} to {_SALT_BYTES_MAX} bytes,"
            f" found {len(salt)}",
        )
    transaction = unsigned(salt, groups)
    claimed = take_text(request, "id", characters_max=128)
    if claimed != transaction.id:
        raise TransactionInvalidError(
            "id-mismatch",
            f"transaction {claimed} has components of transaction {transaction.id}",
        )
    return transaction.signed_by(signatures)


def signable(transaction: str, metadata: JsonObject) -> bytes:
    """The bytes that a signature covers: the transaction's identifier and its own metadata."""
    return canonical_json({"transactionId": transaction, "metadata": metadata})


def check_signatures(
    signed: SignedTransaction, content: Transaction, public_keys: PublicKeys
) -> None:
    """Check every signature that is present.

    Raises:
        SignatureInvalidError: a signature is wrong, repeated, or by a key that may not sign.
    """
    allowed = set(content.signatories)
    if content.notary is not None:
        allowed.add(content.notary.key)
    seen: set[str] = set()
    for signature in signed.signatures:
        if signature.key not in allowed:
            raise SignatureInvalidError(
                f"signature by key {signature.by}, which is no signatory of {signed.id}"
            )
        if signature.key in seen:
            raise SignatureInvalidError(f"two signatures by key {signature.by} of {signed.id}")
        seen.add(signature.key)
        check_signature(signed.id, signature, public_keys)


def check_complete(
    signed: SignedTransaction, content: Transaction, public_keys: PublicKeys
) -> None:
    """Check that every signatory has signed; does not verify the signatures.

    Raises:
        SignatureMissingError: names the keys.
    """
    present = {signature.key for signature in signed.signatures}
    missing = [public_keys.key_id(key) for key in content.signatories if key not in present]
    if missing:
        raise SignatureMissingError(
            f"transaction {signed.id} lacks the signatures of keys {', '.join(missing)}"
        )


def check_notarised(
    signed: SignedTransaction, content: Transaction, public_keys: PublicKeys
) -> None:
    """Check that the transaction's notary, if it names one, has signed it.

    Raises:
        NotaryRequiredError: there is no signature by the notary's key.
        NotarySignatureInvalidError: it is wrong.
    """
    if content.notary is None:
        return
    found = [each for each in signed.signatures if each.key == content.notary.key]
    if not found:
        raise NotaryRequiredError(
            f"transaction {signed.id} lacks the signature of its notary {content.notary.name}"
        )
    for signature in found:
        try:
            check_signature(signed.id, signature, public_keys)
        except SignatureInvalidError as exc:
            raise NotarySignatureInvalidError(exc.message) from exc


def check_signature(transaction: str, signature: Signature, public_keys: PublicKeys) -> None:
    """Check one signature, of the transaction alone or of a batch with it.

    Raises:
        SignatureInvalidError: it is wrong.
    """
    try:
        right = public_keys.key_id(signature.key) == signature.by and public_keys.verify(
            signature.key,
            _signed_bytes(transaction, signature),
            signature.signature,
            signature.spec,
        )
    except (InvalidInputError, ProofInvalidError) as exc:
        raise SignatureInvalidError(f"signature by key {signature.by}: {exc}") from exc
    if not right:
        raise SignatureInvalidError(f"signature by key {signature.by} of {transaction} is wrong")


def _signed_bytes(transaction: str, signature: Signature) -> bytes:
    if signature.proof is None:
        return signable(transaction, signature.metadata())
    return signable_batch(proven_batch_root(transaction, signature.proof), signature.metadata())


def read_signature(item: JsonObject) -> Signature:
    """Read the JSON form of one signature; does not verify it.

    Raises:
        CapabilityError: `request-invalid`.
    """
    fields = ("by", "key", "signature", "metadata")
    check_fields(item, (*fields, "proof") if "proof" in item else fields)
    metadata = take_object(item, "metadata")
    check_fields(metadata, ("timestamp", "signatureSpec", "properties"))
    properties = take_object(metadata, "properties")
    if len(properties) > _PROPERTIES_MAX:
        raise invalid_request(f"field 'properties' must have at most {_PROPERTIES_MAX} entries")
    timestamp = take_text(metadata, "timestamp", characters_max=64)
    if not is_instant(timestamp):
        raise invalid_request(f"field 'timestamp' is no instant: {timestamp!r}")
    return Signature(
        by=take_text(item, "by", characters_max=12),
        key=take_text(item, "key"),
        signature=_base64(item, "signature"),
        timestamp=timestamp,
        spec=take_text(metadata, "signatureSpec", characters_max=64),
        properties=tuple(
            (name, take_text(properties, name, characters_max=_PROPERTY_CHARACTERS_MAX))
            for name in sorted(properties)
        ),
        proof=_read_proof(take_object(item, "proof")) if "proof" in item else None,
    )


def _proof_json(proof: BatchProof) -> JsonObject:
    path: list[JsonValue] = [base64.b64encode(digest).decode() for digest in proof.path]
    return {"size": proof.size, "index": proof.index, "path": path}


def _read_proof(item: JsonObject) -> BatchProof:
    check_fields(item, ("size", "index", "path"))
    size = take_int(item, "size", minimum=1, maximum=BATCH_MAX)
    texts = take_list(item, "path", length_max=BATCH_MAX.bit_length())
    path = tuple(_base64({"path": text}, "path") for text in texts)
    if any(len(digest) != HASH_BYTES for digest in path):
        raise invalid_request(f"field 'path' must hold hashes of {HASH_BYTES} bytes")
    index = take_int(item, "index", minimum=0, maximum=size - 1)
    return BatchProof(size=size, index=index, path=path)


def _read_groups(items: Sequence[JsonValue]) -> Groups:
    groups = []
    for item in items:
        if not isinstance(item, list) or not all(isinstance(leaf, str) for leaf in item):
            raise invalid_request("field 'componentGroups' must hold lists of texts")
        groups.append(tuple(str(leaf) for leaf in item))
    try:
        check_limits(groups)
    except UnicodeEncodeError as exc:
        raise invalid_request("field 'componentGroups' holds a text that is not Unicode") from exc
    return tuple(groups)


def _base64(item: JsonObject, name: str) -> bytes:
    text = take_text(item, name, characters_max=8192)
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise invalid_request(f"field {name!r} is no base64: {exc}") from exc
    # If one value had two texts, a third party could change a stored transaction's JSON.
    if base64.b64encode(data).decode() != text:
        raise invalid_request(f"field {name!r} is no canonical base64")
    return data
