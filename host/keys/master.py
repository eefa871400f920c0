"""Master keys: derived from a passphrase, or kept in files that only their owner can read.

Each rotation creates a new generation with its own file, and destroys the old file.
"""

import base64
import hashlib
import json
from pathlib import Path

from host.adapters.files.secret_files import SecretFileInvalidError, destroy, read_or_create
from host.keys.errors import MasterKeyError, MasterKeyGoneError
from host.keys.wrapping import KEY_BYTES
from host.ports.clock import Entropy
from host.ports.keys import MasterKeys

__all__ = ["MasterKeyFiles", "MasterKeys", "derived_key", "fresh_parameters", "load_master_key"]

_SALT_BYTES = 16
_SCRYPT = {"log2n": 17, "r": 8, "p": 1}
_LOG2N_MAX, _R_MAX, _P_MAX = 20, 16, 16


class MasterKeyFiles:
    """`MasterKeys` in a folder of secrets. Thread-safe."""

    def __init__(self, secrets: Path, *, passphrase: str | None, entropy: Entropy) -> None:
        self._secrets = secrets
        self._passphrase = passphrase
        self._entropy = entropy
        self._known: dict[int, bytes] = {}

    def make(self, generation: int) -> bytes:
        if generation not in self._known:
            self._known[generation] = load_master_key(
                self._secrets,
                passphrase=self._passphrase,
                entropy=self._entropy,
                generation=generation,
            )
        return self._known[generation]

    def get(self, generation: int) -> bytes:
        known = self._known.get(generation)
        if known is not None:
            return known
        file = _file(self._secrets, self._passphrase, generation)
        if not file.exists():
            self._refuse_other_kind(generation)
            raise MasterKeyGoneError(f"{file}: master key {generation} is not there")
        return self.make(generation)

    def _refuse_other_kind(self, generation: int) -> None:
        """Refuse a passphrase where the master key is a file, and the reverse."""
        if self._passphrase is not None and _key_file(self._secrets, generation).exists():
            raise MasterKeyError(
                f"{_key_file(self._secrets, generation)}: the stored keys are under a random master"
                " key; start without a passphrase, which cannot be added later"
            )
        if self._passphrase is None and _salt_file(self._secrets, generation).exists():
            raise MasterKeyError(
                f"{_salt_file(self._secrets, generation)}: the stored keys are under a passphrase;"
                " give it, by the setting `master_passphrase_file`"
            )

    def destroy_before(self, generation: int) -> None:
        for old in range(1, generation):
            self._known.pop(old, None)
            for file in (_key_file(self._secrets, old), _salt_file(self._secrets, old)):
                destroy(file)


def load_master_key(
    secrets: Path, *, passphrase: str | None, entropy: Entropy, generation: int = 1
) -> bytes:
    """Return the 32 bytes that wrap every wrapping key; the first call creates them.

    With a passphrase, the key is derived by scrypt with the salt in `<secrets>/master-salt.json`
    and is never stored. Without one, it is in `<secrets>/master-key`, mode 0600. File names of
    later generations end in their number.

    Raises:
        MasterKeyError: the file is readable by others, damaged, or a passphrase is empty.
        StorageError: the folder cannot be written.
    """
    file = _file(secrets, passphrase, generation)
    if passphrase is None:
        key = _stored(file, entropy.random_bytes(KEY_BYTES))
        if len(key) != KEY_BYTES:
            raise MasterKeyError(f"{file}: expected {KEY_BYTES} bytes, found {len(key)}")
        return key
    if not passphrase:
        raise MasterKeyError("the master passphrase is empty")
    return derived_key(str(file), passphrase, _stored(file, fresh_parameters(entropy)))


def fresh_parameters(entropy: Entropy) -> bytes:
    """Parameters of scrypt with a new salt, which are stored in the clear."""
    salt = base64.b64encode(entropy.random_bytes(_SALT_BYTES)).decode()
    return json.dumps({"kdf": "scrypt", **_SCRYPT, "salt": salt}).encode()


def _file(secrets: Path, passphrase: str | None, generation: int) -> Path:
    name = _key_file if passphrase is None else _salt_file
    return name(secrets, generation)


def _key_file(secrets: Path, generation: int) -> Path:
    return secrets / ("master-key" if generation == 1 else f"master-key-{generation}")


def _salt_file(secrets: Path, generation: int) -> Path:
    return secrets / ("master-salt.json" if generation == 1 else f"master-salt-{generation}.json")


def derived_key(place: str, passphrase: str, parameters: bytes) -> bytes:
    """The master key that a passphrase gives with stored parameters.

    Args:
        place: where they are stored, for messages.
        passphrase: the secret.
        parameters: what `fresh_parameters` gave.

    Raises:
        MasterKeyError: the passphrase is empty, or the parameters are damaged or out of range.
    """
    if not passphrase:
        raise MasterKeyError("the master passphrase is empty")
    try:
        found = json.loads(parameters)
        log2n, r, p = int(found["log2n"]), int(found["r"]), int(found["p"])
        salt = base64.b64decode(found["salt"], validate=True)
        if found["kdf"] != "scrypt" or len(salt) != _SALT_BYTES:
            raise MasterKeyError(f"{place}: no scrypt parameters")
    except (ValueError, KeyError, TypeError) as exc:
        raise MasterKeyError(f"{place} is damaged: {exc}") from exc
    if not (
        _SCRYPT["log2n"] <= log2n <= _LOG2N_MAX
        and r in range(1, _R_MAX + 1)
        and p in range(1, _P_MAX + 1)
    ):
        raise MasterKeyError(f"{place}: scrypt parameters are out of range")
    memory = 128 * r * ((1 << log2n) + p + 2)
    return hashlib.scrypt(
        passphrase.encode(), salt=salt, n=1 << log2n, r=r, p=p, maxmem=memory, dklen=KEY_BYTES
    )


def _stored(file: Path, fresh: bytes) -> bytes:
    try:
        return read_or_create(file, fresh)
    except SecretFileInvalidError as exc:
        raise MasterKeyError(exc.message) from exc
