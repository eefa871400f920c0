"""RFC 3161 timestamps in signature blocks: when a signature existed, by an authority's word."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from asn1crypto import tsp
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from cpi.cms import SignedMessage, verify_signed_data
from cpi.errors import Code, SignatureError
from cpi.public_keys import strong_hash
from cpi.signer_hash import subject_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Timestamp:
    """A timestamp whose signature holds; its authority's path is not judged yet."""

    time: datetime
    chain: tuple[x509.Certificate, ...]


def read_timestamp(block: SignedMessage, what: str) -> Timestamp | None:
    """The timestamp over a block's signature, None when it has none.

    Raises:
        SignatureError: the token is damaged, or is about another signature.
    """
    if block.timestamp_token is None:
        return None
    try:
        token = verify_signed_data(
            block.timestamp_token, None, content_type="tst_info", what=f"timestamp of {what}"
        )
        info = tsp.TSTInfo.load(token.content, strict=True)
        imprint = info["message_imprint"]
        algorithm = strong_hash(imprint["hash_algorithm"]["algorithm"].native, "timestamp")
        stated = imprint["hashed_message"].native
        time: datetime = info["gen_time"].native
    except (ValueError, TypeError, KeyError) as error:
        raise _invalid(what, f"is damaged: {error}") from error
    if stated != hashlib.new(algorithm.name, block.signature).digest():
        raise _invalid(what, "is about another signature")
    if not _may_timestamp(token.chain[0]):
        raise _invalid(what, f"is by {subject_text(token.chain[0])}, which may not timestamp")
    return Timestamp(time=time, chain=token.chain)


def _may_timestamp(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.TIME_STAMPING in usage


def _invalid(what: str, reason: str) -> SignatureError:
    return SignatureError(Code.TIMESTAMP_INVALID, f"timestamp of {what} {reason}", entry=what)
