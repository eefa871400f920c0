"""A hardware key with its certificates, ready to sign packages."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cpi.crypto.certificate import AnyCertificate, Certificate, as_certificates
from cpi.crypto.certificates import load_der
from cpi.crypto.key_certificates import build_chain, certificate_of
from cpi.crypto.key_material import NamedCertificate
from cpi.crypto.keys import SigningKey
from cpi.errors import TrustError
from plugins.pkcs11_hsm.errors import (
    HardwareKeyError,
    HardwareKeyNotFoundError,
    HardwarePinError,
    HardwareUnavailableError,
)
from plugins.pkcs11_hsm.uri import KeyUri

try:
    from pkcs11 import Attribute, KeyType, ObjectClass

    from plugins.pkcs11_hsm.private_keys import HardwareEcKey, HardwareRsaKey
    from plugins.pkcs11_hsm.token import Token
except ImportError as error:  # pragma: no cover - the extra is installed where tests run
    raise HardwareUnavailableError(
        f"keys in hardware need the extra `hsm`: pip install 'cordbox[hsm]' ({error})"
    ) from error

_PIN_BYTES_MAX = 1024


def open_signing_key(
    uri: KeyUri, *, pin: str | None, certificates: Sequence[AnyCertificate]
) -> SigningKey:
    """The key that a URI names.

    Args:
        uri: token and key.
        pin: the token's PIN; the URI's `pin-source` takes precedence. None: no login.
        certificates: the key's certificate and issuers; those on the token are used as well. The
            certificate with the key's id or label signs, unless a newer one is given.

    Raises:
        HardwareKeyError: library, token, PIN, key or certificate is missing or does not fit.
    """
    token = Token(uri, pin=_pin(uri) or pin)
    key = token.with_key(_describe)
    given = as_certificates(certificates)
    stored, unreadable = _readable(token)
    now = datetime.now(UTC)
    own = certificate_of(
        [entry for entry in stored if _is_of(entry, key)],
        [c for c in given if key.is_certified_by(c)],
        alias=key.label or uri.object,
        entry_id=key.id or None,
        at=now,
    )
    if own is None:
        hint = f"; {unreadable} certificates on it cannot be read" if unreadable else ""
        raise HardwareKeyNotFoundError(
            f"{uri}: no certificate of the key is on the token or in --certificate-file{hint}"
        )
    leaf = own.certificate
    public = leaf.public_key()
    private: HardwareRsaKey | HardwareEcKey
    if isinstance(public, rsa.RSAPublicKey):
        private = HardwareRsaKey(token, public)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        private = HardwareEcKey(token, public)
    else:
        raise HardwareKeyError(f"{uri}: keys of kind {key.kind.name} are not supported")
    return SigningKey(
        private_key=private,
        certificate_chain=build_chain(leaf, [*given, *(e.certificate for e in stored)], at=now),
        alias=uri.object or key.label or key.id.hex(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Described:
    """A private key's attributes on a token: `public` is an RSA modulus, an EC point or None."""

    kind: KeyType
    id: bytes
    label: str
    public: bytes | None

    def is_certified_by(self, certificate: Certificate) -> bool:
        """Whether the certificate has this key; any EC one may, if the key's point is unknown."""
        try:
            public = certificate.public_key()
        except TrustError:
            return False
        if isinstance(public, rsa.RSAPublicKey):
            modulus = public.public_numbers().n
            return modulus.to_bytes(-(-modulus.bit_length() // 8), "big") == self.public
        if isinstance(public, ec.EllipticCurvePublicKey) and self.kind is KeyType.EC:
            point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            # Most tokens wrap the point into a DER octet string; some do not.
            return self.public is None or self.public.endswith(point)
        return False


def _describe(key: Any) -> _Described:
    kind = KeyType(key.key_type)
    if kind not in (KeyType.RSA, KeyType.EC):
        raise HardwareKeyError(f"keys of kind {kind.name} are not supported, use RSA or EC")
    key_id = bytes(key.id or b"")
    public = bytes(key[Attribute.MODULUS]).lstrip(b"\0") if kind is KeyType.RSA else None
    if kind is KeyType.EC and key_id:
        wanted = {Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.ID: key_id}
        points = [bytes(found[Attribute.EC_POINT]) for found in key.session.get_objects(wanted)]
        public = points[0] if len(points) == 1 else None
    return _Described(kind=kind, id=key_id, label=str(key.label or ""), public=public)


def _readable(token: Token) -> tuple[list[NamedCertificate], int]:
    """The certificates on a token, and how many of them cannot be read."""
    found, unreadable = list[NamedCertificate](), 0
    for stored in token.certificates():
        try:
            certificate = load_der(stored.der)
        except ValueError:
            unreadable += 1
            continue
        found.append(
            NamedCertificate(
                certificate=certificate, alias=stored.label or None, entry_id=stored.id or None
            )
        )
    return found, unreadable


def _is_of(entry: NamedCertificate, key: _Described) -> bool:
    """Whether a certificate on the token may be the key's.

    If the key's public half is unknown, only its id or its label tell.
    """
    bound = entry.entry_id == key.id if key.id else entry.alias == key.label
    return key.is_certified_by(entry.certificate) and (bound or key.public is not None)


def _pin(uri: KeyUri) -> str | None:
    """The PIN from the place that `pin-source` names."""
    if uri.pin_source is None:
        return None
    scheme, _, place = uri.pin_source.partition(":")
    if scheme == "env" and place in os.environ:
        return os.environ[place]
    if scheme == "file":
        try:
            with Path(place).open("rb") as file:
                return file.read(_PIN_BYTES_MAX).decode().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise HardwarePinError(f"pin-source {uri.pin_source}: {error}") from error
    raise HardwarePinError(f"pin-source {uri.pin_source}: expected env:NAME that is set, or file:")
