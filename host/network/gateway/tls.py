"""TLS contexts of gateways: TLS 1.3 alone, certificates by name, private keys in memory alone."""

import base64
import os
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509

from cpi.crypto.certificates import load_der, load_pem_certificates
from cpi.crypto.trust import validate_path
from cpi.errors import CpiError
from host.domain.errors import InvalidInputError

_PEM_LINE = 64
_NO_TICKETS = 0


class TlsRefusedError(InvalidInputError):
    """Certificates or keys of a gateway cannot be used, or those of a peer are not trusted."""

    code = "gateway-tls-refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsCertificate:
    """A certificate chain in PEM, leaf first, and its private key as PKCS#8 in DER."""

    chain: str
    key: bytes


def server_context(
    certificates: Sequence[TlsCertificate], *, client_roots: Sequence[bytes] = ()
) -> ssl.SSLContext:
    """What a gateway serves with.

    Args:
        certificates: not empty; the first whose names hold the one that a client asks for (SNI) is
            presented, else the first of all.
        client_roots: if there are any, clients must have a certificate that leads to one of them,
            as DER. They are those of all networks here: who may speak for which network is judged
            for each frame.

    Raises:
        TlsRefusedError: a certificate or key cannot be used.
    """
    contexts = [_server_context(each, client_roots) for each in certificates]
    names = [_names(each) for each in certificates]

    def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        for context, held in zip(contexts, names, strict=True):
            if name is not None and any(_fits(name.lower(), pattern) for pattern in held):
                connection.context = context
                return

    contexts[0].sni_callback = choose
    return contexts[0]


def unready_context() -> ssl.SSLContext:
    """What a gateway serves with that has no certificate yet: every handshake fails."""
    return _tls13(ssl.PROTOCOL_TLS_SERVER)


def client_context(
    roots: Sequence[bytes], certificate: TlsCertificate | None = None
) -> ssl.SSLContext:
    """What a gateway connects with; the host name, or the IP address, must be in the certificate.

    Args:
        roots: the network's, as DER; never the system's.
        certificate: of this cluster, for mutual TLS.

    Raises:
        TlsRefusedError: no root, or a certificate or key cannot be used.
    """
    context = _tls13(ssl.PROTOCOL_TLS_CLIENT)
    _trust(context, roots)
    if certificate is not None:
        _load(context, certificate)
    return context


def peer_chain(connection: Any) -> tuple[bytes, ...]:  # an `ssl.SSLObject`
    """The certificates that the peer presented, leaf first, as DER; empty if it had none."""
    if sys.version_info >= (3, 13):
        return tuple(connection.get_unverified_chain() or ())
    found = connection._sslobj.get_unverified_chain() or ()  # noqa: SLF001  # public in Python 3.13
    return tuple(each.public_bytes(2) for each in found)  # 2: _ssl.ENCODING_DER


def check_chain(chain: Sequence[bytes], roots: Sequence[bytes], *, at: datetime) -> None:
    """Check that a peer's chain leads to the roots of one network.

    Raises:
        TlsRefusedError: it does not.
    """
    try:
        validate_path(
            [load_der(each) for each in chain],
            [load_der(each) for each in roots],
            at=at,
            whose="gateway's",
        )
    except (CpiError, ValueError, IndexError) as refused:
        raise TlsRefusedError(f"the gateway's certificate is not trusted: {refused}") from refused


def _server_context(certificate: TlsCertificate, roots: Sequence[bytes]) -> ssl.SSLContext:
    context = _tls13(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = _NO_TICKETS
    _load(context, certificate)
    if roots:
        # Contexts are changed by name within a handshake, which leaves this setting as it was: so
        # every context has the same.
        context.verify_mode = ssl.CERT_REQUIRED
        _trust(context, roots)
    return context


def _tls13(protocol: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["http/1.1"])
    return context


def _trust(context: ssl.SSLContext, roots: Sequence[bytes]) -> None:
    if not roots:
        raise TlsRefusedError("the network has no TLS trust roots")
    try:
        context.load_verify_locations(cadata="".join(map(ssl.DER_cert_to_PEM_cert, roots)))
    except (ssl.SSLError, ValueError) as refused:
        raise TlsRefusedError(f"a TLS trust root cannot be used: {refused}") from refused


def _load(context: ssl.SSLContext, certificate: TlsCertificate) -> None:
    """Load chain and key by a descriptor of memory: OpenSSL's interface takes files alone."""
    descriptor = os.memfd_create("cordbox-tls", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(certificate.chain.encode() + b"\n" + _pem_key(certificate.key))
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    except (ssl.SSLError, ValueError) as refused:
        raise TlsRefusedError(f"a TLS certificate cannot be used: {refused}") from refused
    finally:
        os.close(descriptor)


def _pem_key(key: bytes) -> bytes:
    text = base64.b64encode(key)
    lines = [text[at : at + _PEM_LINE] for at in range(0, len(text), _PEM_LINE)]
    return b"\n".join((b"-----BEGIN PRIVATE KEY-----", *lines, b"-----END PRIVATE KEY-----", b""))


def _names(certificate: TlsCertificate) -> Sequence[str]:
    """The DNS names of the leaf, in lower case."""
    try:
        chain = load_pem_certificates(certificate.chain.encode(), source="a TLS certificate")
        leaf = x509.load_der_x509_certificate(chain[0].der)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    except (CpiError, ValueError, IndexError) as refused:
        raise TlsRefusedError(f"a TLS certificate cannot be read: {refused}") from refused
    return [name.lower() for name in names.get_values_for_type(x509.DNSName)]


def _fits(name: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return name.partition(".")[2] == pattern[2:]
    return name == pattern
