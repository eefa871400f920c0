"""A signing key for temporary packages: created in memory, used once, then discarded."""

import secrets

from cpi.crypto.keys import SigningKey, read_keystore
from cpi.crypto.keystore_creation import create_keystore


def throwaway_key() -> SigningKey:
    """A new EC key with a certificate that no one trusts."""
    password = secrets.token_urlsafe(16)
    store = create_keystore(
        password=password, alias="throwaway", distinguished_name="CN=Throwaway, O=Cordbox, C=GB"
    )
    return read_keystore(store, password=password, source="throwaway key").keys[0]
