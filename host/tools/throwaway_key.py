"""A signing key for temporary packages: created in memory, used once, then discarded."""

import secrets

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12

from cpi.crypto.keys import SigningKey, create_keystore


def throwaway_key() -> SigningKey:
    """A new EC key with a certificate that no one trusts."""
    password = secrets.token_urlsafe(16)
    store = create_keystore(
        password=password, alias="throwaway", distinguished_name="CN=Throwaway, O=Cordbox, C=GB"
    )
    key, certificate, _ = pkcs12.load_key_and_certificates(store, password.encode())
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate is None:
        raise TypeError("the new keystore holds no EC key with a certificate")
    return SigningKey(private_key=key, certificate_chain=(certificate,), alias="throwaway")
