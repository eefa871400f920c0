"""Requests RFC 3161 timestamps for signatures from an authority. The caller does the networking.

A response is accepted only if it covers this signature and this request (nonce), is signed by a
timestamping certificate that leads to a trusted one, and its time is close to the local clock.

Source: RFC 3161 section 2.4; RFC 5816.
"""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import ClassVar

from asn1crypto import cms, core, tsp

from cpi.crypto.certificate import AnyCertificate, Certificate
from cpi.crypto.cms import verify_signed_data
from cpi.crypto.der import load
from cpi.crypto.signed_data import TST_INFO
from cpi.crypto.timestamps import (
    CLOCKS_APART_MAX,
    TimestampInfo,
    check_imprint,
    may_timestamp,
    read_timestamp_info,
)
from cpi.crypto.trust import validate_path
from cpi.errors import Code, SignatureError
from cpi.jar.signing import Stamp

TimestampFetcher = Callable[[bytes], bytes]
"""Sends a TimeStampReq (DER) to an authority and returns its TimeStampResp (DER).

Raises the error that `unavailable` creates if there is no response.
"""

RESPONSE_BYTES_MAX = 256 * 1024
_NONCE_BITS = 63
_SHOWN_MAX = 40
_WHAT = "timestamp response"


class _Response(core.Sequence):  # type: ignore[misc] # asn1crypto is untyped
    """TimeStampResp; asn1crypto's own class does not allow refusals, which have no token."""

    _fields: ClassVar = [
        ("status", tsp.PKIStatusInfo),
        ("time_stamp_token", cms.ContentInfo, {"optional": True}),
    ]


def timestamper(
    fetch: TimestampFetcher,
    *,
    trusted: Sequence[AnyCertificate],
    policy: str | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    nonce: Callable[[], int] = lambda: secrets.randbits(_NONCE_BITS),
) -> Stamp:
    """A stamp for `cpi.jar.signing` that requests a timestamp from an authority.

    Args:
        fetch: reaches the authority.
        trusted: certificates that the authority's path must lead to.
        policy: dotted OID of the policy that the timestamp must have; None accepts any.
        clock: the present.
        nonce: a fresh random number for each request.

    The stamp raises SignatureError for a refusal or a wrong response, TrustError for an authority
    that is not trusted, and any error of `fetch`.
    """

    def stamp(signature: bytes) -> bytes:
        number = nonce()
        answer = fetch(_request(signature, number, policy))
        token, info, chain = _read(answer)
        check_imprint(info, signature, _WHAT)
        if info.nonce != number:
            raise _invalid(f"has nonce {_hex(info.nonce)}, asked was {number:#x}")
        if policy is not None and info.policy != policy:
            raise _invalid(f"is under policy {info.policy}, asked was {policy}")
        time = info.time
        apart = abs(time - clock())
        if apart > CLOCKS_APART_MAX:
            raise _invalid(f"states {time:%Y-%m-%dT%H:%M:%SZ}, {apart} from the own clock")
        if not may_timestamp(chain[0]):
            raise _invalid("is by a certificate that may not timestamp")
        validate_path(chain, trusted, at=time, whose="TSA")
        return token

    return stamp


def unavailable(authority: str, reason: str) -> SignatureError:
    """The refusal if the authority gave no usable response."""
    return SignatureError(Code.TIMESTAMP_UNAVAILABLE, f"timestamp authority {authority}: {reason}")


def _request(signature: bytes, nonce: int, policy: str | None) -> bytes:
    fields: dict[str, object] = {
        "version": "v1",
        "message_imprint": {
            "hash_algorithm": {"algorithm": "sha256"},
            "hashed_message": hashlib.sha256(signature).digest(),
        },
        "nonce": nonce,
        "cert_req": True,
    }
    if policy is not None:
        fields["req_policy"] = policy
    der: bytes = tsp.TimeStampReq(fields).dump()
    return der


def _read(answer: bytes) -> tuple[bytes, TimestampInfo, tuple[Certificate, ...]]:
    """Token, content and signer of a granted response with a valid signature."""
    if len(answer) > RESPONSE_BYTES_MAX:
        raise _invalid(f"has more than {RESPONSE_BYTES_MAX} bytes")
    try:
        response = load(_Response, answer)
        status = response["status"]
        if status["status"].native not in ("granted", "granted_with_mods"):
            raise _invalid(f"is a refusal: {_reasons(status)}")
        content: cms.ContentInfo = response["time_stamp_token"]
        token: bytes = content.dump()
        signed = verify_signed_data(token, None, content_type=TST_INFO, what=_WHAT)
        info = read_timestamp_info(signed.content)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise _invalid(f"is damaged: {error}") from error
    return token, info, signed.chain


def _reasons(status: tsp.PKIStatusInfo) -> str:
    texts = [status["status"].native]
    texts += [str(text) for text in status["status_string"].native or ()]
    texts += sorted(str(reason) for reason in status["fail_info"].native or ())
    return ", ".join(texts)[:300]


def _hex(number: int | None) -> str:
    """A number of any length as hexadecimal: Python refuses to format long ones as decimals."""
    return "none" if number is None else f"{number:#x}"[:_SHOWN_MAX]


def _invalid(reason: str) -> SignatureError:
    return SignatureError(Code.TIMESTAMP_INVALID, f"{_WHAT} {reason}")
