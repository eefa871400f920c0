"""The contents of a key file, before keys and certificates are matched."""

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from cpi.errors import Code, KeystoreError


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedKey:
    """A private key, the name that the file gives it, and the id that ties it to a certificate."""

    private: PrivateKeyTypes
    alias: str | None = None
    entry_id: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedCertificate:
    """A certificate; `alias` is the name that the file gives it or its key, None without one.

    `entry_id` is the id of the key that it belongs to, where the file says so (`localKeyId`).
    """

    certificate: x509.Certificate
    alias: str | None
    entry_id: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyMaterial:
    """The private keys and certificates of one file, in file order."""

    privates: tuple[NamedKey, ...]
    certificates: tuple[NamedCertificate, ...]


def password_needed(source: str) -> KeystoreError:
    """The refusal of a protected file that is opened without a password."""
    return KeystoreError(Code.KEYSTORE_PASSWORD, f"{source} is protected: it needs a password")


def unreadable(source: str, error: Exception) -> KeystoreError:
    """The refusal of a file that a library cannot open, distinguished from a wrong password."""
    text = str(error)
    wrong = any(word in text.lower() for word in ("password", "mac", "decrypt"))
    code = Code.KEYSTORE_PASSWORD if wrong else Code.KEYSTORE_INVALID
    return KeystoreError(code, f"{source} cannot be opened: {text}")
