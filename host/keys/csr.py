"""Certificate signing requests for keys that never leave the key store."""

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from cpi.crypto.name_text import NameTextError
from cpi.crypto.subject_names import subject_name
from host.keys.errors import CsrInvalidError
from host.keys.schemes import PublicKey, SignatureSpec, decode_public, find_spec

_NAMES_MAX = 100
_HOST = re.compile(r"(?=.{1,253}\Z)(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?)+")

Sign = Callable[[bytes], bytes]


def make_csr(
    *,
    public_key: str,
    x500_name: str,
    alternative_names: Sequence[str],
    spec: str,
    sign: Sign,
) -> str:
    """The PEM text of a request for a certificate of a key.

    Args:
        public_key: PEM of the key.
        x500_name: the subject, such as `CN=host, O=Acme, L=London, C=GB`.
        alternative_names: host names and IP addresses.
        spec: the signature spec, such as `SHA256withECDSA`.
        sign: signs by the private key and `spec`.

    Raises:
        CsrInvalidError: a name is invalid, or requests do not support the spec.
        InvalidInputError: `spec` does not fit the key.
    """
    key = decode_public(public_key)
    found = find_spec(spec, key)
    if found.pss:
        raise CsrInvalidError(f"signature spec {spec}: requests are signed without PSS")
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(x500_name))
    if alternative_names:
        names = x509.SubjectAlternativeName(_alternatives(alternative_names))
        builder = builder.add_extension(names, critical=False)
    request = builder.sign(_signer(key, sign), _digest(found))
    return request.public_bytes(Encoding.PEM).decode()


def _subject(name: str) -> x509.Name:
    try:
        return subject_name(name)
    except NameTextError as exc:
        raise CsrInvalidError(str(exc)) from exc


def _alternatives(names: Sequence[str]) -> list[x509.GeneralName]:
    if len(names) > _NAMES_MAX:
        raise CsrInvalidError(f"more than {_NAMES_MAX} alternative names")
    return [_alternative(name) for name in names]


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        if not _HOST.fullmatch(name):
            raise CsrInvalidError(f"{name[:253]!r} is no host name and no IP address") from None
        return x509.DNSName(name)


def _digest(spec: SignatureSpec) -> Any:
    return spec.digest


def _signer(key: PublicKey, sign: Sign) -> Any:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _EcSigner(key, sign)
    if isinstance(key, rsa.RSAPublicKey):
        return _RsaSigner(key, sign)
    return _EdSigner(key, sign)


class _Signer:
    """What the builder needs from a private key: its public key, and signatures."""

    def __init__(self, key: Any, sign: Sign) -> None:
        self._key = key
        self._sign = sign

    def public_key(self) -> Any:
        return self._key

    def sign(self, data: bytes, *_how: object) -> bytes:
        return self._sign(data)

    def _refused(self, *_arguments: object) -> NoReturn:
        raise NotImplementedError("the private key stays in the key store")

    exchange = private_numbers = private_bytes = private_bytes_raw = decrypt = _refused
    __copy__ = __deepcopy__ = _refused

    @property
    def key_size(self) -> int:
        size: int = self._key.key_size
        return size

    @property
    def curve(self) -> Any:
        return self._key.curve


class _EcSigner(_Signer, ec.EllipticCurvePrivateKey):  # type: ignore[misc]  # raises for all others
    pass


class _RsaSigner(_Signer, rsa.RSAPrivateKey):
    pass


class _EdSigner(_Signer, ed25519.Ed25519PrivateKey):  # type: ignore[misc]  # raises for all others
    pass
