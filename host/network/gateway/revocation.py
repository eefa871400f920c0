"""Whether a peer's certificates were revoked: OCSP where a certificate names it, else a CRL.

Only certificates that lead to a trust root are asked for: strangers cannot have this host fetch
addresses of their choice. Answers are checked for issuer, signature and dates, and kept until their
next update.

Source: RFC 5280 (CRLs), RFC 6960 (OCSP); Corda's `revocationCheck.mode`.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from cpi.crypto.der import check_der
from host.ports.clock import Clock

KEPT = timedelta(hours=24)
"""An answer is kept until its next update, for this time at most."""
FAILED = timedelta(minutes=1)
"""What could not be had is asked for again after this time."""
ANSWERS_MAX = 4096
CRLS_MAX = 64
URLS_MAX = 4
"""Addresses of one certificate that are asked."""
SKEW = timedelta(minutes=5)
"""A responder's clock may be ahead by so much."""
_SHA256 = SHA256()

Fetch = Callable[[str, bytes | None], bytes]
"""Gives what is at a URL: asked by GET, or with a body by POST. Raises `NotFetchedError`."""


class RevocationMode(StrEnum):
    """Corda's values of `revocationCheck.mode`."""

    OFF = "OFF"
    SOFT_FAIL = "SOFT_FAIL"
    HARD_FAIL = "HARD_FAIL"


class NotFetchedError(Exception):
    """An answer could not be had, or cannot be used."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """`is_revoked` is None if nothing is known."""

    is_revoked: bool | None
    until: datetime
    reason: str = ""


class Revocations:
    """Thread-safe. Calls may wait for responders of certificate authorities."""

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: OrderedDict[bytes, _Answer] = OrderedDict()
        self._crls: OrderedDict[
            tuple[str, bytes], tuple[x509.CertificateRevocationList, datetime]
        ] = OrderedDict()

    def refusal(
        self, chain: Sequence[bytes], roots: Sequence[bytes], mode: RevocationMode
    ) -> str | None:
        """Why a chain does not count; None if it does.

        Args:
            chain: DER, leaf first; it leads to one of the roots.
            roots: DER.
            mode: SOFT_FAIL takes certificates whose state cannot be had, HARD_FAIL does not.
        """
        if mode is RevocationMode.OFF:
            return None
        try:
            path, anchors = list(map(_read_certificate, chain)), list(map(_read_certificate, roots))
        except ValueError as exc:
            return (
                f"a certificate cannot be read: {exc}" if mode is RevocationMode.HARD_FAIL else None
            )
        for index, certificate in enumerate(path):
            if certificate.issuer == certificate.subject:
                continue  # a root is trusted, whatever it says of itself
            issuer = _issuer(certificate, [*path[index + 1 : index + 2], *anchors])
            answer = self._asked(certificate, issuer)
            name = certificate.subject.rfc4514_string()
            if answer.is_revoked:
                return f"the certificate {name} was revoked"
            if answer.is_revoked is None and mode is RevocationMode.HARD_FAIL:
                return f"whether the certificate {name} was revoked is not known: {answer.reason}"
        return None

    def _asked(self, certificate: x509.Certificate, issuer: x509.Certificate | None) -> _Answer:
        key = certificate.fingerprint(_SHA256)
        now = self._now()
        with self._lock:
            found = self._answers.get(key)
        if found is not None and now < found.until:
            return found
        try:
            answer = self._answered(certificate, issuer, now)
        except NotFetchedError as exc:
            answer = _Answer(None, now + FAILED, str(exc))
        with self._lock:
            self._answers[key] = answer
            self._answers.move_to_end(key)
            while len(self._answers) > ANSWERS_MAX:
                self._answers.popitem(last=False)
        return answer

    def _answered(
        self, certificate: x509.Certificate, issuer: x509.Certificate | None, now: datetime
    ) -> _Answer:
        if issuer is None:
            raise NotFetchedError("its issuer is not known")
        responders, lists = _responders(certificate), _lists(certificate)
        reasons = []
        for url in responders:
            try:
                return self._by_ocsp(url, certificate, issuer, now)
            except NotFetchedError as exc:
                reasons.append(f"{url}: {exc}")
        for url in lists:
            try:
                return self._by_crl(url, certificate, issuer, now)
            except NotFetchedError as exc:
                reasons.append(f"{url}: {exc}")
        raise NotFetchedError("; ".join(reasons) or "it names neither OCSP nor a CRL over http")

    def _by_ocsp(
        self, url: str, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime
    ) -> _Answer:
        request = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, SHA1()).build()  # noqa: S303  # names the issuer, as RFC 6960 has it
        data = self._fetch(url, request.public_bytes(Encoding.DER))
        try:
            check_der(data)
            answer = ocsp.load_der_ocsp_response(data)
            if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
                raise NotFetchedError(f"OCSP status {answer.response_status.name}")
            _check_responder(answer, issuer, now)
            if answer.serial_number != certificate.serial_number:
                raise NotFetchedError("an OCSP answer for another certificate")
            until = _until(answer.this_update_utc, answer.next_update_utc, now)
            status = answer.certificate_status
        except (ValueError, InvalidSignature) as exc:
            raise NotFetchedError(f"an OCSP answer that cannot be used: {exc}") from exc
        if status is ocsp.OCSPCertStatus.UNKNOWN:
            raise NotFetchedError("the responder does not know the certificate")
        return _Answer(status is ocsp.OCSPCertStatus.REVOKED, until)

    def _by_crl(
        self, url: str, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime
    ) -> _Answer:
        key = (url, issuer.fingerprint(_SHA256))
        with self._lock:
            crl, until = self._crls.get(key, (None, now))
        if crl is None or now >= until:
            crl = _read_crl(self._fetch(url, None), issuer)
            until = _until(crl.last_update_utc, crl.next_update_utc, now)
            with self._lock:
                self._crls[key] = (crl, until)
                while len(self._crls) > CRLS_MAX:
                    self._crls.popitem(last=False)
        found = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
        return _Answer(found is not None, until)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)


def _issuer(
    certificate: x509.Certificate, candidates: Sequence[x509.Certificate]
) -> x509.Certificate | None:
    for each in candidates:
        try:
            certificate.verify_directly_issued_by(each)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return each
    return None


def _responders(certificate: x509.Certificate) -> Sequence[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return [
        each.access_location.value
        for each in found.value
        if each.access_method == AuthorityInformationAccessOID.OCSP
        and _is_url(each.access_location)
    ][:URLS_MAX]


def _lists(certificate: x509.Certificate) -> Sequence[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints)
    except (x509.ExtensionNotFound, ValueError):
        return ()
    names = [name for point in found.value for name in point.full_name or ()]
    return [name.value for name in names if _is_url(name)][:URLS_MAX]


def _is_url(name: x509.GeneralName) -> bool:
    is_uri = isinstance(name, x509.UniformResourceIdentifier)
    return is_uri and str(name.value).lower().startswith("http://")


def _until(since: datetime, following: datetime | None, now: datetime) -> datetime:
    """Until when an answer may be used.

    Raises:
        NotFetchedError: it is of another time than now.
    """
    until = min(since + KEPT if following is None else following, now + KEPT)
    if not since - SKEW <= now < until:
        raise NotFetchedError(f"an answer of {since:%Y-%m-%dT%H:%M:%SZ}, which is not in force")
    return until


def _read_certificate(data: bytes) -> x509.Certificate:
    check_der(data)
    return x509.load_der_x509_certificate(data)


def _read_crl(data: bytes, issuer: x509.Certificate) -> x509.CertificateRevocationList:
    try:
        check_der(data)
        crl = x509.load_der_x509_crl(data)
        is_signed = crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # others: TypeError
    except (ValueError, TypeError) as exc:
        raise NotFetchedError(f"a CRL that cannot be used: {exc}") from exc
    if crl.issuer != issuer.subject or not is_signed:
        raise NotFetchedError("a CRL that the issuer did not sign")
    return crl


def _check_responder(answer: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime) -> None:
    """Check that the issuer signed an answer, or whom it has charged with that.

    Raises:
        NotFetchedError, ValueError, InvalidSignature: neither did.
    """
    charged = [each for each in answer.certificates if _is_charged(each, issuer, now)]
    for signer in (issuer, *charged):
        try:
            _verify(signer, answer)
        except InvalidSignature:
            continue
        return
    raise NotFetchedError("an OCSP answer that the issuer did not sign")


def _is_charged(certificate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return ExtendedKeyUsageOID.OCSP_SIGNING in usages and begin <= now <= end


def _verify(signer: x509.Certificate, answer: ocsp.OCSPResponse) -> None:
    key, data = signer.public_key(), answer.tbs_response_bytes
    digest = answer.signature_hash_algorithm
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(answer.signature, data)
    elif isinstance(key, ec.EllipticCurvePublicKey) and digest is not None:
        key.verify(answer.signature, data, ec.ECDSA(digest))
    elif isinstance(key, rsa.RSAPublicKey) and digest is not None:
        key.verify(answer.signature, data, padding.PKCS1v15(), digest)
    else:
        raise NotFetchedError("an OCSP answer with a signature of another kind")
