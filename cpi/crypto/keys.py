"""Signing keys and trusted certificates, in PKCS#12 and PEM files."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from cpi.crypto.certificates import issuer_path
from cpi.crypto.key_material import KeyMaterial, NamedCertificate, NamedKey
from cpi.crypto.keystore_creation import create_keystore
from cpi.crypto.pem_keys import is_pem, read_pem
from cpi.crypto.pfx import read_pkcs12
from cpi.crypto.public_keys import describe_key
from cpi.errors import Code, KeystoreError

__all__ = [
    "Keystore",
    "PrivateKey",
    "SigningKey",
    "build_chain",
    "create_keystore",
    "load_keystore",
    "load_signing_key",
]

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_KEYSTORE_BYTES_MAX = 4 * 1024 * 1024
_JAVA_FORMATS = {b"\xfe\xed\xfe\xed": "JKS", b"\xce\xce\xce\xce": "JCEKS"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A private key with its certificate and issuers, leaf first.

    The key may be a proxy for a key in hardware: only `sign` and `public_key` are used.
    """

    private_key: PrivateKey = field(repr=False)
    certificate_chain: tuple[x509.Certificate, ...]
    alias: str

    @property
    def anchor(self) -> x509.Certificate:
        """The certificate to trust for what this key signs: the last of its chain."""
        return self.certificate_chain[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keystore:
    """The contents of one file: keys, and certificates without a key."""

    keys: tuple[SigningKey, ...]
    trusted: tuple[x509.Certificate, ...]

    def anchors(self) -> tuple[x509.Certificate, ...]:
        """The certificates that the keystore's owner trusts: those in it, and those of its keys."""
        return (*(key.anchor for key in self.keys), *self.trusted)

    def key(self, alias: str | None, *, source: Path) -> SigningKey:
        """The key of an alias, compared ignoring case as Java does; None takes the only key.

        Raises:
            KeystoreError: there is none, or None was passed and there are several; names `source`.
        """
        if not self.keys:
            raise KeystoreError(
                Code.KEYSTORE_ALIAS, f"{source} holds no private key with its certificate"
            )
        names = ", ".join(repr(key.alias) for key in self.keys)
        if alias is None and len(self.keys) > 1:
            raise KeystoreError(
                Code.KEYSTORE_ALIAS,
                f"{source} holds {len(self.keys)} keys, name one of them: {names}",
            )
        found = [key for key in self.keys if alias is None or key.alias.lower() == alias.lower()]
        if not found:
            raise KeystoreError(Code.KEYSTORE_ALIAS, f"{source} holds key {names}, not {alias!r}")
        return found[0]


def load_signing_key(
    keystore: Path,
    *,
    password: str | None,
    alias: str | None,
    certificates: Sequence[x509.Certificate] = (),
) -> SigningKey:
    """One private key of a file.

    Args:
        keystore: a PKCS#12 or PEM file.
        password: of the file and the key; None for a plain PEM key.
        alias: the key's alias, compared ignoring case as Java does; None takes the only key. The
            alias of a key in PEM is the file's name without its extension.
        certificates: the key's certificate and issuers, if the file does not hold them.

    Raises:
        KeystoreError: wrong password, no key, another alias, or a key that cannot sign packages.
        OSError: the file cannot be read.
    """
    opened = load_keystore(keystore, password=password, certificates=certificates)
    return opened.key(alias, source=keystore)


def load_keystore(
    keystore: Path, *, password: str | None, certificates: Sequence[x509.Certificate] = ()
) -> Keystore:
    """Everything in a PKCS#12 or PEM file, and `certificates` as if they were in it.

    Raises:
        KeystoreError: the file is damaged or too large, or the password is wrong or missing.
        OSError: the file cannot be read.
    """
    with keystore.open("rb") as file:
        data = file.read(_KEYSTORE_BYTES_MAX + 1)
    if len(data) > _KEYSTORE_BYTES_MAX:
        raise KeystoreError(
            Code.KEYSTORE_INVALID, f"{keystore} has more than {_KEYSTORE_BYTES_MAX} bytes"
        )
    outdated = _JAVA_FORMATS.get(data[:4])
    if outdated:
        raise KeystoreError(
            Code.KEYSTORE_INVALID,
            f"{keystore} is a {outdated} keystore; convert it with "
            "`keytool -importkeystore -deststoretype pkcs12`",
        )
    read = read_pem if is_pem(data) else read_pkcs12
    material = read(data, password=password, source=str(keystore))
    further = tuple(NamedCertificate(certificate=c, alias=None) for c in certificates)
    return _matched(
        keystore,
        KeyMaterial(privates=material.privates, certificates=(*material.certificates, *further)),
    )


def _matched(keystore: Path, material: KeyMaterial) -> Keystore:
    """Each private key with the certificate that it is bound to, and its issuers."""
    keys = []
    every = [entry.certificate for entry in material.certificates]
    for named in material.privates:
        owner = _owner(named, material.certificates)
        if owner is None:
            continue
        if not isinstance(named.private, PrivateKey):
            raise KeystoreError(
                Code.KEY_UNSUPPORTED,
                f"{keystore} holds a key of kind "
                f"{describe_key(owner.certificate.public_key())}; "
                "packages are signed with RSA, EC or Ed25519",
            )
        keys.append(
            SigningKey(
                private_key=named.private,
                certificate_chain=build_chain(owner.certificate, every),
                alias=named.alias or owner.alias or keystore.stem,
            )
        )
    if material.privates and not keys:
        raise KeystoreError(
            Code.KEYSTORE_INVALID,
            f"{keystore} holds a private key, but no certificate of it is there or given",
        )
    in_chains = {certificate for key in keys for certificate in key.certificate_chain}
    return Keystore(keys=tuple(keys), trusted=tuple(c for c in every if c not in in_chains))


def _owner(named: NamedKey, certificates: Sequence[NamedCertificate]) -> NamedCertificate | None:
    """The certificate that a key signs with.

    If several certificates have its public key (a renewed one beside the old one, or one that was
    also imported as trusted), the one of the key's own entry wins, else the one with its name, else
    the newest.
    """
    public = named.private.public_key()
    fitting = [e for e in certificates if e.certificate.public_key() == public]
    bound = [e for e in fitting if named.entry_id is not None and e.entry_id == named.entry_id]
    same = [e for e in fitting if named.alias is not None and e.alias == named.alias]
    return max(bound or same or fitting, key=_newest, default=None)


def _newest(entry: NamedCertificate) -> tuple[datetime, datetime]:
    return entry.certificate.not_valid_before_utc, entry.certificate.not_valid_after_utc


def build_chain(
    leaf: x509.Certificate, others: Sequence[x509.Certificate]
) -> tuple[x509.Certificate, ...]:
    """The leaf and its issuers, found by name, as far as `others` contains them."""
    return issuer_path(leaf, [c for c in others if c != leaf])
