"""RFC 3161 timestamps in signature blocks: an authority states when a signature existed."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from cpi.crypto.algorithms import digest_name
from cpi.crypto.certificate import Certificate
from cpi.crypto.certificate_times import certificate_time
from cpi.crypto.cms import SignedMessage, verify_signed_data
from cpi.crypto.der import DerRefusedError, check_der
from cpi.crypto.extensions import TIME_STAMPING, extended_key_usage
from cpi.crypto.public_keys import strong_hash
from cpi.crypto.signed_data import TST_INFO
from cpi.crypto.signer_hash import subject_text
from cpi.crypto.tlv import (
    BOOLEAN,
    GENERALIZED_TIME,
    INTEGER,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    Fields,
    definite,
    expect,
    integer,
    members,
    object_identifier,
    read_element,
)
from cpi.errors import Code, SignatureError

_AUTHORITY, _EXTENSIONS = 0xA0, 0xA1
CLOCKS_APART_MAX = timedelta(minutes=10)
"""How far an authority's clock may be from the own one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timestamp:
    """A timestamp with a valid signature; its authority's path is not checked yet."""

    time: datetime
    chain: tuple[Certificate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimestampInfo:
    """What an authority states (TSTInfo): `digest` and `imprint` of the bytes that it saw.

    `policy` is a dotted identifier, `time` in whole seconds, `nonce` the request's if it had one.
    """

    policy: str
    digest: str
    imprint: bytes
    time: datetime
    nonce: int | None


def read_timestamp_info(der: bytes) -> TimestampInfo:
    """Read a TSTInfo.

    Raises:
        DerRefusedError: it is none.
    """
    check_der(der)
    whole = read_element(definite(der), SEQUENCE, "a timestamp")
    fields = Fields(whole, "a timestamp")
    fields.next(INTEGER, "a version")
    policy = object_identifier(fields.next(OBJECT_IDENTIFIER, "a policy"))
    algorithm, imprint = members(fields.next(SEQUENCE, "an imprint"), "an imprint", 2)
    fields.next(INTEGER, "a serial number")
    time = certificate_time(fields.next(GENERALIZED_TIME, "a time"))
    fields.optional(SEQUENCE)  # accuracy
    fields.optional(BOOLEAN)  # ordering
    nonce = fields.optional(INTEGER)
    for unused in (_AUTHORITY, _EXTENSIONS):
        fields.optional(unused)
    fields.end()
    return TimestampInfo(
        policy=policy,
        digest=digest_name(algorithm),
        imprint=expect(imprint, OCTET_STRING, "an imprint").content,
        time=time,
        nonce=None if nonce is None else integer(nonce),
    )


def read_timestamp(block: SignedMessage, what: str) -> Timestamp | None:
    """The timestamp over a block's signature; None if it has none.

    Raises:
        SignatureError: the token is damaged, or covers another signature.
    """
    if block.timestamp_token is None:
        return None
    try:
        token = verify_signed_data(
            block.timestamp_token, None, content_type=TST_INFO, what=f"timestamp of {what}"
        )
        info = read_timestamp_info(token.content)
        check_imprint(info, block.signature, f"timestamp of {what}", entry=what)
    except DerRefusedError as error:
        raise _invalid(what, f"is damaged: {error}") from error
    if not may_timestamp(token.chain[0]):
        raise _invalid(what, f"is by {subject_text(token.chain[0])}, which may not timestamp")
    return Timestamp(time=info.time, chain=token.chain)


def check_imprint(
    info: TimestampInfo, signature: bytes, what: str, *, entry: str | None = None
) -> None:
    """Check that a timestamp covers a signature, by a strong digest.

    Raises:
        SignatureError: it covers other bytes, or its digest is weak.
    """
    algorithm = strong_hash(info.digest, what)
    if info.imprint != hashlib.new(algorithm.name, signature).digest():
        raise SignatureError(
            Code.TIMESTAMP_INVALID, f"{what} is about another signature", entry=entry
        )


def may_timestamp(certificate: Certificate) -> bool:
    """Whether the certificate's extended key usage allows timestamps."""
    return TIME_STAMPING in (extended_key_usage(certificate) or ())


def _invalid(what: str, reason: str) -> SignatureError:
    return SignatureError(Code.TIMESTAMP_INVALID, f"timestamp of {what} {reason}", entry=what)
