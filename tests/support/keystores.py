"""Signing keys of tests."""

from datetime import UTC, datetime
from pathlib import Path

from cpi.crypto.keys import SigningKey, load_signing_key
from cpi.crypto.keystore_creation import create_keystore

NOW = datetime(2026, 11, 1, tzinfo=UTC)
PASSWORD = "test-password"


def make_keystore(folder: Path, alias: str, algorithm: str = "EC") -> Path:
    """A key store with one key, which has its own certificate."""
    path = folder / f"{alias}.p12"
    path.write_bytes(
        create_keystore(
            password=PASSWORD,
            alias=alias,
            distinguished_name=f"CN={alias}, O=Tests, L=London, C=GB",
            key_algorithm=algorithm,
            now=NOW,
        )
    )
    return path


def make_key(folder: Path, alias: str, algorithm: str = "EC") -> SigningKey:
    return load_signing_key(make_keystore(folder, alias, algorithm), password=PASSWORD, alias=alias)
