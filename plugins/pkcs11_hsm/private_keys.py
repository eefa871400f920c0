"""Stand-ins for private keys in hardware: cryptography's interfaces, of which only signing works.

A hardware key can be used wherever a key from a file can. Each signature is verified with the
certificate's public key before it is returned, so a certificate that belongs to another key is
detected at once.
"""

from collections.abc import Callable
from typing import Any, NoReturn, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from pkcs11 import MGF, Mechanism

from plugins.pkcs11_hsm.errors import HardwareKeyError
from plugins.pkcs11_hsm.token import Token

_RSA = {
    "sha256": (Mechanism.SHA256_RSA_PKCS, Mechanism.SHA256_RSA_PKCS_PSS),
    "sha384": (Mechanism.SHA384_RSA_PKCS, Mechanism.SHA384_RSA_PKCS_PSS),
    "sha512": (Mechanism.SHA512_RSA_PKCS, Mechanism.SHA512_RSA_PKCS_PSS),
}
_PSS = {
    "sha256": (Mechanism.SHA256, MGF.SHA256),
    "sha384": (Mechanism.SHA384, MGF.SHA384),
    "sha512": (Mechanism.SHA512, MGF.SHA512),
}


class _InHardware:
    """Operations that hardware keys do not support here: export, decryption, key agreement."""

    def private_bytes(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse.

        Raises:
            UnsupportedAlgorithm: always.
        """
        raise _not_offered("anything but signatures")

    private_numbers = decrypt = exchange = private_bytes

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self


class HardwareRsaKey(_InHardware, rsa.RSAPrivateKey):
    """An RSA key on a token."""

    def __init__(self, token: Token, public: rsa.RSAPublicKey) -> None:
        self._token = token
        self._public = public

    @property
    def key_size(self) -> int:
        return self._public.key_size

    def public_key(self) -> rsa.RSAPublicKey:
        """The certificate's public key."""
        return self._public

    def sign(self, data: Any, padding: Any, algorithm: Any) -> bytes:
        """Sign by PKCS#1 v1.5 or PSS.

        Raises:
            HardwareKeyError: the token refuses, or the key does not match the certificate.
            UnsupportedAlgorithm: the scheme is none of these, or the data is hashed already.
        """
        mechanism, parameters = _rsa_mechanism(padding, algorithm)
        made = self._token.with_key(
            lambda key: bytes(key.sign(data, mechanism=mechanism, mechanism_param=parameters))
        )
        return _checked(made, lambda: self._public.verify(made, data, padding, algorithm))


class HardwareEcKey(_InHardware, ec.EllipticCurvePrivateKey):
    """An EC key on a token. Signatures are randomized, even if deterministic ones are requested."""

    def __init__(self, token: Token, public: ec.EllipticCurvePublicKey) -> None:
        self._token = token
        self._public = public

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public.curve

    @property
    def key_size(self) -> int:
        return self._public.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The certificate's public key."""
        return self._public

    def sign(self, data: Any, signature_algorithm: Any) -> bytes:
        """An ECDSA signature in DER.

        Raises:
            HardwareKeyError: the token refuses, or the key does not match the certificate.
            UnsupportedAlgorithm: the data is hashed already.
        """
        algorithm = signature_algorithm.algorithm
        if isinstance(algorithm, Prehashed):
            raise _not_offered("Prehashed")
        context = hashes.Hash(algorithm)
        context.update(data)
        digest = context.finalize()
        raw = self._token.with_key(lambda key: bytes(key.sign(digest, mechanism=Mechanism.ECDSA)))
        half = len(raw) // 2
        made = encode_dss_signature(
            int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
        )
        return _checked(made, lambda: self._public.verify(made, data, ec.ECDSA(algorithm)))


def _rsa_mechanism(scheme: Any, algorithm: Any) -> tuple[Mechanism, Any]:
    name = getattr(algorithm, "name", "")
    if name not in _RSA:
        raise _not_offered(f"digest {name or type(algorithm).__name__}")
    pkcs1, pss = _RSA[name]
    if isinstance(scheme, padding.PKCS1v15):
        return pkcs1, None
    if isinstance(scheme, padding.PSS):
        # Only these attributes of cryptography hold the salt length and the mask's digest.
        length = scheme._salt_length  # noqa: SLF001
        if isinstance(length, int) and scheme.mgf._algorithm.name == name:  # noqa: SLF001
            return pss, (*_PSS[name], length)
    raise _not_offered(f"padding {type(scheme).__name__}")


def _checked(signature: bytes, verify: Callable[[], None]) -> bytes:
    try:
        verify()
    except InvalidSignature as error:
        raise HardwareKeyError(
            "what the token signed does not fit the certificate: it is for another key"
        ) from error
    return signature


def _not_offered(what: str) -> UnsupportedAlgorithm:
    return UnsupportedAlgorithm(f"a key in hardware does not offer {what}")
