"""RFC 3161 timestamps in signature blocks: an authority states when a signature existed."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from asn1crypto import tsp

from cpi.crypto.certificate import Certificate
from cpi.crypto.cms import SignedMessage, verify_signed_data
from cpi.crypto.der import load
from cpi.crypto.extensions import TIME_STAMPING, extended_key_usage
from cpi.crypto.public_keys import strong_hash
from cpi.crypto.signer_hash import subject_text
from cpi.errors import Code, SignatureError


@dataclass(frozen=True, slots=True, kw_only=True)
class Timestamp:
    """A timestamp with a valid signature; its authority's path is not checked yet."""

    time: datetime
    chain: tuple[Certificate, ...]


def read_timestamp(block: SignedMessage, what: str) -> Timestamp | None:
    """The timestamp over a block's signature; None if it has none.

    Raises:
        SignatureError: the token is damaged, or covers another signature.
    """
    if block.timestamp_token is None:
        return None
    try:
        token = verify_signed_data(
            block.timestamp_token, None, content_type="tst_info", what=f"timestamp of {what}"
        )
        info = load(tsp.TSTInfo, token.content)
        time: datetime = info["gen_time"].native
        check_imprint(info, block.signature, f"timestamp of {what}", entry=what)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise _invalid(what, f"is damaged: {error}") from error
    if not may_timestamp(token.chain[0]):
        raise _invalid(what, f"is by {subject_text(token.chain[0])}, which may not timestamp")
    return Timestamp(time=time, chain=token.chain)


def check_imprint(
    info: tsp.TSTInfo, signature: bytes, what: str, *, entry: str | None = None
) -> None:
    """Check that a timestamp covers a signature, by a strong digest.

    Raises:
        SignatureError: it covers other bytes, or its digest is weak.
    """
    imprint = info["message_imprint"]
    algorithm = strong_hash(imprint["hash_algorithm"]["algorithm"].native, what)
    if imprint["hashed_message"].native != hashlib.new(algorithm.name, signature).digest():
        raise SignatureError(
            Code.TIMESTAMP_INVALID, f"{what} is about another signature", entry=entry
        )


def may_timestamp(certificate: Certificate) -> bool:
    """Whether the certificate's extended key usage allows timestamps."""
    return TIME_STAMPING in (extended_key_usage(certificate) or ())


def _invalid(what: str, reason: str) -> SignatureError:
    return SignatureError(Code.TIMESTAMP_INVALID, f"timestamp of {what} {reason}", entry=what)
