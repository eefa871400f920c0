"""Signing keys and trusted certificates, in PKCS#12 and PEM files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from cpi.crypto.certificate import AnyCertificate, Certificate, as_certificates
from cpi.crypto.key_certificates import build_chain, certificate_of
from cpi.crypto.key_material import KeyMaterial, NamedKey
from cpi.crypto.pem_keys import is_pem, read_pem
from cpi.crypto.pfx import read_pkcs12
from cpi.crypto.public_keys import describe_key
from cpi.errors import Code, KeystoreError

__all__ = [
    "Keystore",
    "PrivateKey",
    "SigningKey",
    "load_keystore",
    "load_signing_key",
    "read_keystore",
]

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_KEYSTORE_BYTES_MAX = 4 * 1024 * 1024
_JAVA_FORMATS = {b"\xfe\xed\xfe\xed": "JKS", b"\xce\xce\xce\xce": "JCEKS"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A private key with its certificate and issuers, leaf first.

    The key may be a proxy for a key in hardware: only `sign` and `public_key` are used.
    Certificates of `cryptography` are taken too.
    """

    private_key: PrivateKey = field(repr=False)
    certificate_chain: tuple[Certificate, ...]
    alias: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "certificate_chain", as_certificates(self.certificate_chain))

    @property
    def anchor(self) -> Certificate:
        """The certificate to trust for what this key signs: the last of its chain."""
        return self.certificate_chain[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keystore:
    """The contents of one file: keys, and certificates without a key.

    `unusable` has the keys that cannot sign, by alias, each with the reason: they do not stop the
    others.
    """

    keys: tuple[SigningKey, ...]
    trusted: tuple[Certificate, ...]
    unusable: tuple[tuple[str, KeystoreError], ...] = ()

    def anchors(self) -> tuple[Certificate, ...]:
        """The certificates that the keystore's owner trusts: those in it, and those of its keys."""
        return (*(key.anchor for key in self.keys), *self.trusted)

    def key(self, alias: str | None, *, source: Path) -> SigningKey:
        """The key of an alias, compared ignoring case as Java does; None takes the only key.

        Raises:
            KeystoreError: there is none, it cannot sign, several have the alias, or None was passed
                and there are several; names `source`.
        """
        entries: list[tuple[str, SigningKey | KeystoreError]] = [(k.alias, k) for k in self.keys]
        entries += self.unusable
        if not entries:
            raise KeystoreError(
                Code.KEYSTORE_ALIAS, f"{source} holds no private key with its certificate"
            )
        names = ", ".join(repr(name) for name, _ in entries)
        if alias is None and len(entries) > 1:
            raise KeystoreError(
                Code.KEYSTORE_ALIAS,
                f"{source} holds {len(entries)} keys, name one of them: {names}",
            )
        found = [entry for name, entry in entries if alias is None or _same(name, alias)]
        if not found:
            raise KeystoreError(Code.KEYSTORE_ALIAS, f"{source} holds key {names}, not {alias!r}")
        if len(found) > 1:
            raise KeystoreError(
                Code.KEYSTORE_ALIAS, f"{source} holds {len(found)} keys with alias {alias!r}"
            )
        if isinstance(found[0], KeystoreError):
            raise found[0]
        return found[0]


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def load_signing_key(
    keystore: Path,
    *,
    password: str | None,
    alias: str | None,
    certificates: Sequence[AnyCertificate] = (),
) -> SigningKey:
    """One private key of a file.

    Args:
        keystore: a PKCS#12 or PEM file.
        password: of the file and the key; None for a plain PEM key.
        alias: the key's alias, compared ignoring case as Java does; None takes the only key. The
            alias of a key in PEM is the file's name without its extension.
        certificates: the key's certificate and issuers, if the file does not hold them, or holds an
            older one.

    Raises:
        KeystoreError: wrong password, no key, another alias, or a key that cannot sign packages.
        OSError: the file cannot be read.
    """
    opened = load_keystore(keystore, password=password, certificates=certificates)
    return opened.key(alias, source=keystore)


def load_keystore(
    keystore: Path, *, password: str | None, certificates: Sequence[AnyCertificate] = ()
) -> Keystore:
    """Everything in a PKCS#12 or PEM file, with `certificates` that its keys may need.

    Raises:
        KeystoreError: the file is damaged or too large, or the password is wrong or missing.
        OSError: the file cannot be read.
    """
    with keystore.open("rb") as file:
        data = file.read(_KEYSTORE_BYTES_MAX + 1)
    return read_keystore(
        data,
        password=password,
        source=str(keystore),
        default_alias=keystore.stem,
        certificates=certificates,
    )


def read_keystore(
    data: bytes,
    *,
    password: str | None,
    source: str,
    default_alias: str = "key",
    certificates: Sequence[AnyCertificate] = (),
) -> Keystore:
    """As `load_keystore`, of a file's content; `default_alias` is for a key without a name.

    Raises:
        KeystoreError: the file is damaged or too large, or the password is wrong or missing.
    """
    if len(data) > _KEYSTORE_BYTES_MAX:
        raise KeystoreError(
            Code.KEYSTORE_INVALID, f"{source} has more than {_KEYSTORE_BYTES_MAX} bytes"
        )
    outdated = _JAVA_FORMATS.get(data[:4])
    if outdated:
        raise KeystoreError(
            Code.KEYSTORE_INVALID,
            f"{source} is a {outdated} keystore; convert it with "
            "`keytool -importkeystore -deststoretype pkcs12`",
        )
    read = read_pem if is_pem(data) else read_pkcs12
    material = read(data, password=password, source=source)
    matching = _Matching(material, as_certificates(certificates), source)
    return matching.keystore(default_alias)


class _Matching:
    """Each private key of one file with the certificate that it is bound to, and its issuers."""

    def __init__(self, material: KeyMaterial, given: tuple[Certificate, ...], source: str) -> None:
        self._material = material
        self._given = given
        self._every = (*(entry.certificate for entry in material.certificates), *given)
        self._source = source
        self._now = datetime.now(UTC)

    def keystore(self, default_alias: str) -> Keystore:
        """The file's contents.

        Raises:
            KeystoreError: it has keys, and none of them can be used.
        """
        unnamed = sum(not named.alias for named in self._material.privates)
        aliases = _aliases(default_alias, numbered=unnamed > 1)
        keys, unusable = list[SigningKey](), list[tuple[str, KeystoreError]]()
        for named in self._material.privates:
            entry = self._entry(named, named.alias or next(aliases))
            if isinstance(entry, SigningKey):
                keys.append(entry)
            else:
                unusable.append(entry)
        if unusable and not keys:
            raise unusable[0][1]
        in_chains = {certificate for key in keys for certificate in key.certificate_chain}
        return Keystore(
            keys=tuple(keys),
            trusted=tuple(c for c in self._every if c not in in_chains),
            unusable=tuple(unusable),
        )

    def _entry(self, named: NamedKey, alias: str) -> SigningKey | tuple[str, KeystoreError]:
        private = named.private
        if isinstance(private, KeystoreError):
            return alias, private
        public = private.public_key()
        leaf = certificate_of(
            [e for e in self._material.certificates if e.certificate.has_key(public)],
            [c for c in self._given if c.has_key(public)],
            alias=named.alias,
            entry_id=named.entry_id,
            at=self._now,
        )
        if leaf is None:
            return alias, KeystoreError(
                Code.KEYSTORE_INVALID,
                f"{self._source} holds a private key, but no certificate of it is there or given",
            )
        if not isinstance(private, PrivateKey):
            return alias, KeystoreError(
                Code.KEY_UNSUPPORTED,
                f"{self._source} holds a key of kind {describe_key(leaf.certificate.public_key())};"
                " packages are signed with RSA, EC or Ed25519",
            )
        return SigningKey(
            private_key=private,
            certificate_chain=build_chain(leaf.certificate, self._every, at=self._now),
            alias=named.alias or leaf.alias or alias,
        )


def _aliases(default: str, *, numbered: bool) -> Iterator[str]:
    """Names for keys without one."""
    number = 0
    while True:
        number += 1
        yield f"{default}-{number}" if numbered else default
