"""Private keys in PKCS#8."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_private_key

from cpi.crypto.der import check_der
from cpi.crypto.pbe import identified
from cpi.crypto.tlv import INTEGER, OCTET_STRING, SEQUENCE, expect, members, read_element
from cpi.errors import Code, KeystoreError

__all__ = ["PrivateKeyTypes", "private_key"]


def private_key(der: bytes, source: str) -> PrivateKeyTypes | KeystoreError:
    """The key in a PrivateKeyInfo, or why it cannot be used.

    A key of a kind that no library reads does not make the rest of its file useless.

    Raises:
        DerRefusedError: it is no PrivateKeyInfo: under a wrong password, anything may come out.
    """
    check_der(der)
    whole = read_element(der, SEQUENCE, "a private key")
    number, algorithm, key, *_ = members(whole, "a private key", 3, 5)
    expect(number, INTEGER, "a version")
    expect(key, OCTET_STRING, "a private key")
    kind, _ = identified(algorithm)
    try:
        return load_der_private_key(der, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        return KeystoreError(
            Code.KEY_UNSUPPORTED, f"{source} holds a key of algorithm {kind}: {error}"
        )
