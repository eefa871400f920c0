"""New signing keys with self-signed code-signing certificates, as PKCS#12."""

from datetime import UTC, datetime, timedelta

from asn1crypto import algos
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cpi.crypto.algorithms import encode_pss
from cpi.crypto.der import load
from cpi.crypto.name_text import NameTextError
from cpi.crypto.subject_names import subject_name
from cpi.errors import Code, KeystoreError

KEY_ALGORITHMS = ("EC", "RSA", "RSASSA-PSS", "Ed25519")
_NewKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_KDF_ROUNDS = 50_000
_RSA_BITS = range(2048, 4097)
_RSA_BITS_DEFAULT = 3072
_CURVES: dict[int, ec.EllipticCurve] = {256: ec.SECP256R1(), 384: ec.SECP384R1()}
_VALIDITY_DAYS = range(1, 36_526)
_PSS = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size)


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
        distinguished_name: text as `keytool -dname` takes it, such as `CN=Signer, O=Acme, C=GB`.
        key_algorithm: one of `KEY_ALGORITHMS`, in any case.
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
    algorithm = key_algorithm.upper()
    name = _parse_name(distinguished_name)
    key = _new_key(algorithm, key_size)
    certificate = _self_signed(key, name, validity_days, now or datetime.now(UTC))
    if algorithm == "RSASSA-PSS" and isinstance(key, rsa.RSAPrivateKey):
        certificate = _for_pss_only(certificate, key)
    encryption = (
        serialization.PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(_KDF_ROUNDS)
        .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(hashes.SHA256())
        .build(password.encode())
    )
    return pkcs12.serialize_key_and_certificates(alias.encode(), key, certificate, None, encryption)


def _new_key(algorithm: str, size: int | None) -> _NewKey:
    if algorithm == "ED25519":
        if size not in (None, 255, 256):
            raise KeystoreError(Code.KEY_UNSUPPORTED, f"Ed25519 key of {size} bits, it has 256")
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == "EC":
        bits = size or 256
        if bits not in _CURVES:
            raise KeystoreError(Code.KEY_UNSUPPORTED, f"EC key of {bits} bits, expected 256 or 384")
        return ec.generate_private_key(_CURVES[bits])
    if algorithm in ("RSA", "RSASSA-PSS"):
        bits = size or _RSA_BITS_DEFAULT
        if bits not in _RSA_BITS or bits % 8:
            raise KeystoreError(
                Code.KEY_UNSUPPORTED, f"RSA key of {bits} bits, expected 2048 to 4096"
            )
        return rsa.generate_private_key(65537, bits)
    raise KeystoreError(
        Code.KEY_UNSUPPORTED,
        f"key algorithm {algorithm!r} is none of {', '.join(KEY_ALGORITHMS)}",
    )


def _parse_name(text: str) -> x509.Name:
    try:
        name = subject_name(text)
    except NameTextError as error:
        raise KeystoreError(
            Code.KEYSTORE_INVALID,
            f"{text!r} is no distinguished name such as CN=Signer, O=Acme, L=London, C=GB: {error}",
        ) from error
    for kind in (NameOID.ORGANIZATION_NAME, NameOID.COUNTRY_NAME):
        if not name.get_attributes_for_oid(kind):
            raise KeystoreError(
                Code.KEYSTORE_INVALID, f"{text!r} needs at least the attributes O and C"
            )
    return name


def _self_signed(
    key: _NewKey,
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
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )


def _for_pss_only(certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> x509.Certificate:
    """The same certificate, but for an RSASSA-PSS key (RFC 4055) and signed by it as such."""
    der = certificate.public_bytes(serialization.Encoding.DER)
    changed = load(asn1_x509.Certificate, der)
    body = changed["tbs_certificate"]
    body["subject_public_key_info"]["algorithm"] = {"algorithm": "rsassa_pss"}
    body["signature"] = changed["signature_algorithm"] = load(
        algos.SignedDigestAlgorithm, encode_pss("sha256", hashes.SHA256.digest_size)
    )
    signature = key.sign(body.dump(force=True), _PSS, hashes.SHA256())
    changed["signature_value"] = signature
    return x509.load_der_x509_certificate(changed.dump(force=True))
