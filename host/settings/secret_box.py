"""Seals and opens secrets of sections under a passphrase and a salt, as Corda's CLI does.

AES-256-GCM with a nonce of 12 bytes before ciphertext and tag, in base64; the key is PBKDF2 with
HMAC-SHA256 and 65,536 rounds. Source: Corda 5.2, secrets of type CORDA.
"""

import binascii
import hashlib
from base64 import b64decode, b64encode
from functools import cached_property
from typing import TYPE_CHECKING

from host.domain.errors import InvalidInputError, UnavailableError
from host.ports.clock import Entropy
from host.settings.secret import SEALED_CHARACTERS_MAX, ConfigSecret, Encrypted

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_ROUNDS = 65_536
_KEY_BYTES, _NONCE_BYTES = 32, 12
TEXT_BYTES_MAX = 4096
"""UTF-8 of a secret."""


class ConfigSecretUnreadableError(InvalidInputError):
    """A secret of a section was not sealed under this host's passphrase and salt, or was changed.

    The text of the refusal names nothing of the secret.
    """

    code = "config-secret-unreadable"


class ConfigSecretsUnavailableError(UnavailableError):
    """A section has a secret, and the host has no passphrase and salt that would open it."""

    code = "config-secrets-unavailable"


class SecretInvalidError(InvalidInputError):
    """What is to be sealed, a passphrase or a salt, is blank or too long."""

    code = "secret-invalid"


class SecretBox:
    """Seals and opens under one passphrase and salt; the key is derived once. Thread-safe.

    Raises:
        SecretInvalidError: passphrase or salt is blank.
    """

    def __init__(self, passphrase: str, salt: str) -> None:
        for named, text in (("passphrase", passphrase), ("salt", salt)):
            if not text.strip():
                raise SecretInvalidError(f"the {named} of secrets must not be blank")
        self._passphrase = passphrase
        self._salt = salt

    @cached_property
    def _cipher(self) -> "AESGCM":
        # Here: each process of a host reads settings, few have secrets.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        return AESGCM(
            hashlib.pbkdf2_hmac(
                "sha256", self._passphrase.encode(), self._salt.encode(), _ROUNDS, _KEY_BYTES
            )
        )

    def sealed(self, text: str, entropy: Entropy) -> ConfigSecret:
        """Seal a text.

        Raises:
            SecretInvalidError: it is empty or too long.
        """
        data = text.encode()
        if not 0 < len(data) <= TEXT_BYTES_MAX:
            raise SecretInvalidError(
                f"a secret has 1 to {TEXT_BYTES_MAX} bytes of UTF-8, found {len(data)}"
            )
        nonce = entropy.random_bytes(_NONCE_BYTES)
        whole = nonce + self._cipher.encrypt(nonce, data, None)
        return ConfigSecret(config_secret=Encrypted(encrypted_secret=b64encode(whole).decode()))

    def opened(self, encrypted: str) -> str:
        """The text of what `sealed` or Corda's command made.

        Raises:
            ConfigSecretUnreadableError: it is something else, or of another passphrase or salt.
        """
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415  # as above

        try:
            whole = b64decode(encrypted[: SEALED_CHARACTERS_MAX + 1], validate=True)
            return self._cipher.decrypt(whole[:_NONCE_BYTES], whole[_NONCE_BYTES:], None).decode()
        except (binascii.Error, InvalidTag, ValueError):
            raise ConfigSecretUnreadableError(
                "the secret cannot be opened: it was sealed under another passphrase or salt, or"
                " changed"
            ) from None


class NoSecretBox:
    """Stands for the box of a host without passphrase and salt."""

    def opened(self, encrypted: str) -> str:  # noqa: ARG002  # of a SecretBox
        """Refuse to open anything."""
        raise ConfigSecretsUnavailableError(
            "secrets cannot be opened: secrets_passphrase_file and secrets_salt_file are not set"
        )
