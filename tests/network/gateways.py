"""Real gateways on loopback, with certificates of a development CA."""

import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from prometheus_client import CollectorRegistry

from host.adapters.os.system import SystemClock
from host.network.gateway.gateway import Gateway, GatewayMetrics, GatewayParts
from host.network.gateway.tls import TlsCertificate, check_chain, client_context, server_context
from host.ports.link import TlsIdentity
from host.rest.listener import bind
from tests.network.development_ca import DevelopmentCa

OPERATOR = "CN=CordaOperator,C=GB,L=London,O=Org"


def tls_certificate(ca: DevelopmentCa, *hosts: str, subject: str = OPERATOR) -> TlsCertificate:
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return TlsCertificate(
        chain=ca.chain(public.decode(), subject, *hosts).decode(),
        key=key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
    )


@contextmanager
def serving(
    link: Any,
    ca: DevelopmentCa,
    *,
    certificates: Sequence[TlsCertificate] = (),
    client_roots: Sequence[bytes] = (),
    client: TlsCertificate | None = None,
    more_listeners: Sequence[socket.socket] = (),
    **changes: Any,
) -> Iterator[tuple[int, CollectorRegistry]]:
    """A gateway of a link on a free port of loopback; gives the port and its metrics."""
    registry = CollectorRegistry()
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    context = server_context(
        certificates or [tls_certificate(ca, "127.0.0.1")], client_roots=client_roots
    )

    def context_of(tls: TlsIdentity) -> ssl.SSLContext:
        return client_context(tls.trust_roots, client)

    def checked(chain: Sequence[bytes], tls: TlsIdentity) -> None:
        check_chain(chain, tls.trust_roots, at=datetime.now(UTC))

    gateway = Gateway(
        GatewayParts(
            link=link,
            listeners=[listener, *more_listeners],
            server_context=lambda: context,
            context_of=context_of,
            check_chain=checked,
            clock=SystemClock(),
            metrics=GatewayMetrics(registry),
            **changes,
        )
    )
    gateway.start()
    try:
        yield port, registry
    finally:
        assert gateway.stop()
