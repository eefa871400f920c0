"""The contents of a key file, before keys and certificates are matched."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from cpi.crypto.certificate import Certificate
from cpi.errors import Code, KeystoreError


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedKey:
    """A private key, the name that the file gives it, and the id that ties it to a certificate.

    `private` is the reason instead, if this key cannot be used.
    """

    private: PrivateKeyTypes | KeystoreError
    alias: str | None = None
    entry_id: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedCertificate:
    """A certificate; `alias` is the name that the file gives it or its key, None without one.

    `entry_id` is the id of the key that it belongs to, where the file says so (`localKeyId`);
    `trusted` is a certificate that was imported as trusted, which no key signs with; `first` is the
    first item of its part of a PKCS#12 file.
    """

    certificate: Certificate
    alias: str | None = None
    entry_id: bytes | None = None
    trusted: bool = False
    first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyMaterial:
    """The private keys and certificates of one file, in file order."""

    privates: tuple[NamedKey, ...]
    certificates: tuple[NamedCertificate, ...]


def password_needed(source: str) -> KeystoreError:
    """The refusal of a protected file that is opened without a password."""
    return KeystoreError(Code.KEYSTORE_PASSWORD, f"{source} is protected: it needs a password")


def wrong_password(source: str) -> KeystoreError:
    """The refusal of what a password does not open: it, or its encryption, is not what it was."""
    return KeystoreError(Code.KEYSTORE_PASSWORD, f"{source}: wrong password, or damaged")
