"""The master key: derived from a passphrase, or kept in a file that only its owner can read."""

import base64
import hashlib
import json
from pathlib import Path

from host.keys.errors import MasterKeyError
from host.keys.wrapping import KEY_BYTES
from host.ports.clock import Entropy
from host.secret_files import SecretFileInvalidError, read_or_create

_SALT_BYTES = 16
_SCRYPT = {"log2n": 17, "r": 8, "p": 1}
_LOG2N_MAX, _R_MAX, _P_MAX = 20, 16, 16


def load_master_key(secrets: Path, *, passphrase: str | None, entropy: Entropy) -> bytes:
    """Give the 32 bytes that wrap every wrapping key; the first call decides what they are.

    With a passphrase the key is scrypt of it over the salt in `<secrets>/master-salt.json`
    and is never stored. Without one it lies in `<secrets>/master-key`, mode 0600.

    Raises:
        MasterKeyError: the file is readable by others, damaged, or a passphrase is empty.
        StorageError: the folder cannot be written.
    """
    if passphrase is None:
        key = _stored(secrets / "master-key", entropy.random_bytes(KEY_BYTES))
        if len(key) != KEY_BYTES:
            raise MasterKeyError(
                f"{secrets / 'master-key'}: expected {KEY_BYTES} bytes, found {len(key)}"
            )
        return key
    if not passphrase:
        raise MasterKeyError("the master passphrase is empty")
    file = secrets / "master-salt.json"
    fresh = {
        "kdf": "scrypt",
        **_SCRYPT,
        "salt": base64.b64encode(entropy.random_bytes(_SALT_BYTES)).decode(),
    }
    return _derive(file, passphrase, _stored(file, json.dumps(fresh).encode()))


def _derive(file: Path, passphrase: str, parameters: bytes) -> bytes:
    try:
        found = json.loads(parameters)
        log2n, r, p = int(found["log2n"]), int(found["r"]), int(found["p"])
        salt = base64.b64decode(found["salt"], validate=True)
        if found["kdf"] != "scrypt" or len(salt) != _SALT_BYTES:
            raise MasterKeyError(f"{file}: no scrypt parameters")
    except (ValueError, KeyError, TypeError) as exc:
        raise MasterKeyError(f"{file} is damaged: {exc}") from exc
    if not (
        _SCRYPT["log2n"] <= log2n <= _LOG2N_MAX
        and r in range(1, _R_MAX + 1)
        and p in range(1, _P_MAX + 1)
    ):
        raise MasterKeyError(f"{file}: scrypt parameters are out of range")
    memory = 128 * r * ((1 << log2n) + p + 2)
    return hashlib.scrypt(
        passphrase.encode(), salt=salt, n=1 << log2n, r=r, p=p, maxmem=memory, dklen=KEY_BYTES
    )


def _stored(file: Path, fresh: bytes) -> bytes:
    try:
        return read_or_create(file, fresh)
    except SecretFileInvalidError as exc:
        raise MasterKeyError(exc.message) from exc
