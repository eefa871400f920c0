"""Signing keys and trusted certificates in PKCS#12 keystores."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from asn1crypto import pkcs12 as asn1_pkcs12
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cpi.errors import Code, KeystoreError
from cpi.public_keys import describe_key

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_KEYSTORE_BYTES_MAX = 4 * 1024 * 1024
_KDF_ROUNDS = 50_000
_RSA_BITS = range(2048, 4097)
_CURVES: dict[int, ec.EllipticCurve] = {256: ec.SECP256R1(), 384: ec.SECP384R1()}
_DEFAULT_SIZES = {"EC": 256, "RSA": 3072}
_SPACE_AFTER_COMMA = re.compile(r"(?<!\\),\s+")
_VALIDITY_DAYS = range(1, 36_526)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A private key with its certificate and issuers, leaf first."""

    private_key: PrivateKey = field(repr=False)
    certificate_chain: tuple[x509.Certificate, ...]
    alias: str

    @property
    def anchor(self) -> x509.Certificate:
        """The certificate to trust for what this key signs: the last of its chain."""
        return self.certificate_chain[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keystore:
    """What one PKCS#12 file holds: keys, and certificates that stand by themselves."""

    keys: tuple[SigningKey, ...]
    trusted: tuple[x509.Certificate, ...]

    def anchors(self) -> tuple[x509.Certificate, ...]:
        """What the keystore's owner trusts: the certificates in it, and the own signatures."""
        return (*(key.anchor for key in self.keys), *self.trusted)


def load_signing_key(keystore: Path, *, password: str, alias: str | None) -> SigningKey:
    """The private key of a PKCS#12 file.

    Args:
        keystore: the file.
        password: of the file and the key.
        alias: the key's alias, compared ignoring case as Java does; None takes the only key.

    Raises:
        KeystoreError: wrong password, no key, another alias, or a key that cannot sign packages.
        OSError: the file cannot be read.
    """
    keys = load_keystore(keystore, password=password).keys
    if not keys:
        raise KeystoreError(Code.KEYSTORE_ALIAS, f"{keystore} holds no private key")
    names = ", ".join(repr(key.alias) for key in keys)
    if alias is None and len(keys) > 1:
        raise KeystoreError(
            Code.KEYSTORE_ALIAS, f"{keystore} holds {len(keys)} keys, name one of them: {names}"
        )
    found = [key for key in keys if alias is None or key.alias.lower() == alias.lower()]
    if not found:
        raise KeystoreError(Code.KEYSTORE_ALIAS, f"{keystore} holds key {names}, not {alias!r}")
    return found[0]


def load_keystore(keystore: Path, *, password: str) -> Keystore:
    """Everything in a PKCS#12 file.

    Raises:
        KeystoreError: the file is damaged or too large, or the password is wrong.
        OSError: the file cannot be read.
    """
    with keystore.open("rb") as file:
        data = file.read(_KEYSTORE_BYTES_MAX + 1)
    if len(data) > _KEYSTORE_BYTES_MAX:
        raise KeystoreError(
            Code.KEYSTORE_INVALID, f"{keystore} has more than {_KEYSTORE_BYTES_MAX} bytes"
        )
    try:
        content = pkcs12.load_pkcs12(data, password.encode())
        privates = _private_keys(data, password) if content.key else []
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        wrong_password = "password" in str(error).lower() or "mac" in str(error).lower()
        code = Code.KEYSTORE_PASSWORD if wrong_password else Code.KEYSTORE_INVALID
        raise KeystoreError(code, f"{keystore} cannot be opened: {error}") from error
    named = [*([content.cert] if content.cert else []), *content.additional_certs]
    if content.key is not None and not privates:
        privates = [content.key]
    keys = _signing_keys(keystore, privates, named)
    in_chains = {certificate for key in keys for certificate in key.certificate_chain}
    return Keystore(
        keys=keys, trusted=tuple(e.certificate for e in named if e.certificate not in in_chains)
    )


def _signing_keys(
    keystore: Path,
    privates: Sequence[PrivateKeyTypes],
    named: Sequence[pkcs12.PKCS12Certificate],
) -> tuple[SigningKey, ...]:
    """Each private key with the certificate of its public key, and that one's issuers."""
    keys = []
    for private in privates:
        public = private.public_key()
        owner = next((e for e in named if e.certificate.public_key() == public), None)
        if owner is None:
            continue
        if not isinstance(private, PrivateKey):
            raise KeystoreError(
                Code.KEY_UNSUPPORTED,
                f"{keystore} holds a key of kind "
                f"{describe_key(owner.certificate.public_key())}; "
                "packages are signed with RSA, EC or Ed25519",
            )
        chain = _chain(owner.certificate, [e.certificate for e in named])
        alias = (owner.friendly_name or b"1").decode(errors="replace")
        keys.append(SigningKey(private_key=private, certificate_chain=chain, alias=alias))
    return tuple(keys)


def _private_keys(data: bytes, password: str) -> list[PrivateKeyTypes]:
    """Every private key of a file whose integrity is checked already.

    `load_pkcs12` gives the first key alone; Java's keystores may hold several.
    """
    found = []
    for content in asn1_pkcs12.Pfx.load(data).authenticated_safe:
        if content["content_type"].native != "data":
            continue
        for bag in asn1_pkcs12.SafeContents.load(bytes(content["content"])):
            if bag["bag_id"].native == "pkcs8_shrouded_key_bag":
                der = bag["bag_value"].untag().dump()
                found.append(serialization.load_der_private_key(der, password.encode()))
    return found


def _chain(
    leaf: x509.Certificate, others: Sequence[x509.Certificate]
) -> tuple[x509.Certificate, ...]:
    chain, left = [leaf], [c for c in others if c != leaf]
    while chain[-1].issuer != chain[-1].subject:
        above = next((c for c in left if c.subject == chain[-1].issuer), None)
        if above is None:
            break
        chain.append(above)
        left.remove(above)
    return tuple(chain)


def create_keystore(
    *,
    password: str,
    alias: str,
    distinguished_name: str,
    key_algorithm: str = "EC",
    key_size: int | None = None,
    validity_days: int = 3650,
    now: datetime | None = None,
) -> bytes:
    """A new key with a self-signed code-signing certificate, as PKCS#12 bytes.

    Args:
        password: encrypts file and key (AES-256).
        alias: the key's alias.
        distinguished_name: RFC 4514 text such as `CN=Signer, O=Acme, L=London, C=GB`.
        key_algorithm: `EC` or `RSA`.
        key_size: bits: 256 or 384 for EC, 2048 to 4096 for RSA; None is 256 or 3072.
        validity_days: how long the certificate is valid, from `now`.
        now: None is the present.

    Raises:
        KeystoreError: an argument is not usable.
    """
    if not password or not alias.strip():
        raise KeystoreError(Code.KEYSTORE_INVALID, "password and alias must not be empty")
    if validity_days not in _VALIDITY_DAYS:
        raise KeystoreError(
            Code.KEYSTORE_INVALID, f"validity of {validity_days} days is outside 1 to 36525"
        )
    key = _new_key(key_algorithm.upper(), key_size)
    certificate = _self_signed(
        key, _parse_name(distinguished_name), validity_days, now or datetime.now(UTC)
    )
    encryption = (
        serialization.PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(_KDF_ROUNDS)
        .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(hashes.SHA256())
        .build(password.encode())
    )
    return pkcs12.serialize_key_and_certificates(alias.encode(), key, certificate, None, encryption)


def _new_key(algorithm: str, size: int | None) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    if algorithm not in _DEFAULT_SIZES:
        raise KeystoreError(Code.KEY_UNSUPPORTED, f"key algorithm {algorithm!r} is none of EC, RSA")
    bits = size or _DEFAULT_SIZES[algorithm]
    if algorithm == "EC":
        if bits not in _CURVES:
            raise KeystoreError(Code.KEY_UNSUPPORTED, f"EC key of {bits} bits, expected 256 or 384")
        return ec.generate_private_key(_CURVES[bits])
    if bits not in _RSA_BITS or bits % 8:
        raise KeystoreError(Code.KEY_UNSUPPORTED, f"RSA key of {bits} bits, expected 2048 to 4096")
    return rsa.generate_private_key(65537, bits)


def _parse_name(text: str) -> x509.Name:
    try:
        name = x509.Name.from_rfc4514_string(_SPACE_AFTER_COMMA.sub(",", text.strip()))
    except ValueError as error:
        reason = str(error) or "expected text such as CN=Signer, O=Acme, L=London, C=GB"
        raise KeystoreError(
            Code.KEYSTORE_INVALID, f"{text!r} is no distinguished name: {reason}"
        ) from error
    for kind in (NameOID.ORGANIZATION_NAME, NameOID.COUNTRY_NAME):
        if not name.get_attributes_for_oid(kind):
            raise KeystoreError(
                Code.KEYSTORE_INVALID, f"{text!r} needs at least the attributes O and C"
            )
    return name


def _self_signed(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    name: x509.Name,
    validity_days: int,
    now: datetime,
) -> x509.Certificate:
    begin = now.replace(microsecond=0)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=validity_days))
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
