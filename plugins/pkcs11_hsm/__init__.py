"""Signing keys that never leave a hardware token, over PKCS#11.

Needs the extra `hsm`. The token's library is named by the URI's `module-path` or by the environment
variable `CORDBOX_PKCS11_MODULE`.
"""

from collections.abc import Sequence

from cpi.crypto.certificate import AnyCertificate
from cpi.crypto.keys import SigningKey
from host.runtime.hookspecs import hookimpl
from plugins.pkcs11_hsm.uri import SCHEME, parse_uri


@hookimpl
def register_signing_key(
    uri: str, password: str | None, certificates: Sequence[AnyCertificate]
) -> SigningKey | None:
    """The key that a `pkcs11:` URI names."""
    if not uri.startswith(f"{SCHEME}:"):
        return None
    # The library of this import is an extra: without it, other URIs must still work.
    from plugins.pkcs11_hsm.signing_key import open_signing_key  # noqa: PLC0415

    return open_signing_key(parse_uri(uri), pin=password, certificates=certificates)
