"""Keys of containers: a passphrase, or a private key (X25519, age).

A passphrase does not encrypt the content: a key derived from it by scrypt encrypts a new private
key, which is in the header. So the content is encrypted in the same way in both cases, and only the
passphrase's owner can create a container that it opens.
"""

import base64
import binascii
import re
from pathlib import Path

import pyrage

from host.adapters.files.container.errors import (
    ContainerDamagedError,
    ContainerKeyError,
    TransferKeyDamagedError,
)
from host.adapters.files.container.format import VERSION, Header
from host.adapters.files.secret_files import SecretFileInvalidError, read_or_create
from host.domain.ids import EpochMs

TRANSFER_KEY = "transfer-key"
"""Its file, among the secrets of a data directory."""
_IDENTITY_PREFIX = "AGE-SECRET-KEY-1"
_SCRYPT = re.compile(rb"age-encryption\.org/v1\n-> scrypt \S{1,64} (\d{1,3})\n")
"""The header of what a passphrase opens, as of C2SP age, with the logarithm of the work factor."""
_SEALED_CHARACTERS_MAX = 4096
_WORK_FACTOR_MAX = 22
"""As of the command `age`: 4 GiB of memory. pyrage seals with what takes it a second."""
_WORK_REFUSED = "the passphrase is protected by more work"


class Sealer:
    """Encrypts containers. Make one by `by_passphrase` or `to_recipient`."""

    def __init__(self, recipient: pyrage.x25519.Recipient, header: dict[str, str]) -> None:
        self.recipient = recipient
        self._header = header

    @staticmethod
    def by_passphrase(passphrase: str) -> "Sealer":
        """Encrypt for a passphrase. Takes some seconds: scrypt is slow on purpose.

        Raises:
            ContainerKeyError: the passphrase is empty.
        """
        if not passphrase:
            raise ContainerKeyError("the passphrase is empty")
        identity = pyrage.x25519.Identity.generate()
        sealed = pyrage.passphrase.encrypt(str(identity).encode(), passphrase)
        return Sealer(identity.to_public(), {"identity": base64.b64encode(sealed).decode()})

    @staticmethod
    def to_recipient(text: str, identity: str | None = None) -> "Sealer":
        """Encrypt to an age public key (`age1…`).

        Args:
            text: the key.
            identity: its private key, encrypted with a passphrase and in base64, for the header.

        Raises:
            ContainerKeyError: it is not a public key, or `identity` is nothing that age encrypts.
        """
        if identity is not None:
            _check_sealed(identity)
        try:
            recipient = pyrage.x25519.Recipient.from_str(text)
        except pyrage.RecipientError as exc:
            raise ContainerKeyError(f"{text[:80]!r} is no age public key: {exc}") from exc
        if identity is not None:
            return Sealer(recipient, {"identity": identity})
        return Sealer(recipient, {"recipient": text})

    @property
    def sealed(self) -> str:
        """What the passphrase opens; empty if there is none."""
        return self._header.get("identity", "")

    def header(self, created_at: EpochMs) -> Header:
        """The header of a new container."""
        return Header(v=VERSION, created_at=created_at, **self._header)


class Opener:
    """Opens containers by a passphrase, or by the text of a file of age private keys."""

    def __init__(self, *, passphrase: str | None = None, identities: str | None = None) -> None:
        self._passphrase = passphrase
        self._identities = identities

    def identities(self, header: Header) -> list[pyrage.x25519.Identity]:
        """The private keys to try on the container with this header.

        Raises:
            ContainerKeyError: the passphrase is wrong, or the required secret is missing.
            ContainerDamagedError: the header is damaged.
        """
        if header.identity is None:
            if self._identities is None:
                raise ContainerKeyError(
                    f"the container is encrypted to the public key {header.recipient}:"
                    " its private key is needed, no passphrase opens it"
                )
            return _parse(self._identities)
        if self._passphrase is None and self._identities is not None:
            return _parse(self._identities)  # perhaps the one that `identity_of_file` gave
        if self._passphrase is None:
            raise ContainerKeyError("the container is encrypted with a passphrase, none was given")
        try:
            sealed = base64.b64decode(header.identity, validate=True)
        except (binascii.Error, ValueError) as exc:
            raise ContainerDamagedError(f"the header's identity is no base64: {exc}") from exc
        _limit_work(sealed)
        try:
            return _parse(pyrage.passphrase.decrypt(sealed, self._passphrase).decode())
        except (pyrage.DecryptError, UnicodeDecodeError) as exc:
            if "work parameter" in str(exc):  # more than what it takes 16 seconds for, here and now
                raise ContainerKeyError(
                    f"{_WORK_REFUSED} than this machine does in some seconds: try again when it is"
                    " less busy, or on a faster one"
                ) from exc
            raise ContainerKeyError(
                "the passphrase does not open the container, or its header was changed"
            ) from exc


def _check_sealed(identity: str) -> None:
    """Refuse for a header what no passphrase opens, and what a header has no room for."""
    is_short = len(identity) <= _SEALED_CHARACTERS_MAX
    try:
        sealed = base64.b64decode(identity, validate=True) if is_short else b""
    except (binascii.Error, ValueError):
        sealed = b""
    if _SCRYPT.match(sealed) is None:
        raise ContainerKeyError(
            "the identity is no base64 of a private key that a passphrase encrypts (age)"
        )


def _limit_work(sealed: bytes) -> None:
    """Refuse what would need too much memory: pyrage limits the time alone, by measuring it."""
    found = _SCRYPT.match(sealed)
    if found is not None and int(found[1]) > _WORK_FACTOR_MAX:
        raise ContainerKeyError(
            f"{_WORK_REFUSED} than is accepted: its scrypt work factor is 2^{int(found[1])}, and at"
            f" most 2^{_WORK_FACTOR_MAX} is; seal it again with a smaller one, or to a public key"
        )


def _parse(text: str) -> list[pyrage.x25519.Identity]:
    lines = [line.strip() for line in text.splitlines()]
    try:
        found = [
            pyrage.x25519.Identity.from_str(line)
            for line in lines
            if line.startswith(_IDENTITY_PREFIX)
        ]
    except pyrage.IdentityError as exc:
        raise ContainerKeyError(f"a private key is damaged: {exc}") from exc
    if not found:
        raise ContainerKeyError(f"expected a line that begins with {_IDENTITY_PREFIX}, found none")
    return found


def cluster_identity(secrets: Path) -> str:
    """The private key of a cluster for files that are sent to it; made at its first use.

    Raises:
        TransferKeyDamagedError: it was changed, or others can read it.
        StorageError: it cannot be read or made.
    """
    fresh = str(pyrage.x25519.Identity.generate()).encode() + b"\n"
    file = secrets / TRANSFER_KEY
    try:
        found = read_or_create(file, fresh).decode().strip()
        _parse(found)
    except (SecretFileInvalidError, ContainerKeyError, UnicodeDecodeError) as exc:
        raise TransferKeyDamagedError(f"{file} cannot be used: {exc}", path=str(file)) from exc
    return found


def recipient_of(identity: str) -> str:
    """The public key of a private key."""
    (found,) = _parse(identity)
    return str(found.to_public())


def sealed_identity(passphrase: str) -> tuple[str, str]:
    """A new public key, and base64 of its private key, which the passphrase opens.

    Raises:
        ContainerKeyError: the passphrase is empty.
    """
    sealer = Sealer.by_passphrase(passphrase)
    return str(sealer.recipient), sealer.sealed
