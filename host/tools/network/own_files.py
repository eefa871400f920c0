"""Files that a development network makes at its first start and uses again: secrets and keys."""

import secrets
from pathlib import Path

from cpi.crypto.keys import SigningKey, load_signing_key
from cpi.crypto.keystore_creation import create_keystore

_ALIAS = "dev"
_SIGNER = "CN=Development, O=Cordbox, C=GB"


def write_once(file: Path, text: str) -> None:
    """Write a file that only its owner reads, unless it is there."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")


def signing_key(folder: Path) -> SigningKey:
    """The key that signs the packages of a network, in `signing.p12` of its folder."""
    store, password_file = folder / "signing.p12", folder / "signing-password"
    write_once(password_file, secrets.token_urlsafe(18))
    password = password_file.read_text(encoding="utf-8")
    if not store.exists():
        made = create_keystore(password=password, alias=_ALIAS, distinguished_name=_SIGNER)
        store.touch(mode=0o600)
        store.write_bytes(made)
    return load_signing_key(store, password=password, alias=_ALIAS)
