"""The TLS contexts of a cluster's gateway, made from what operators have set up.

Contexts are made anew when certificates, trust roots or the type of TLS have changed; connections
that are open keep theirs until they are idle.
"""

import hashlib
import ssl
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cpi.crypto.certificates import load_pem_certificates
from cpi.errors import CpiError
from host.domain.errors import HostError
from host.network.gateway.tls import (
    TlsCertificate,
    TlsRefusedError,
    check_chain,
    client_context,
    server_context,
    unready_context,
)
from host.network.hosted import TLS_USAGE
from host.network.revoked import Revoked, never_revoked
from host.ports.certificates import CLUSTER_TENANT, CertificateChains, key_tenant
from host.ports.clock import Clock
from host.ports.hosted import HostedIdentities
from host.ports.keys import KeyStore
from host.ports.link import TlsIdentity
from host.ports.public_keys import PublicKeys

CLIENT_CONTEXTS_MAX = 256

_log = structlog.get_logger("cordbox.gateway")

ClientRoots = Callable[[], Sequence[bytes]]
"""TLS trust roots of all networks that have an identity here, as DER."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSources:
    """Where keys and certificates of a gateway come from.

    Attributes:
        client_roots: asked only with mutual TLS.
        is_mutual: whether clients must present a certificate.
        revoked: asked of the chains of gateways that are connected to.
    """

    hosted: HostedIdentities
    certificates: CertificateChains
    keys: KeyStore
    public_keys: PublicKeys
    clock: Clock
    client_roots: ClientRoots
    is_mutual: Callable[[], bool]
    revoked: Revoked = never_revoked


@dataclass(frozen=True, slots=True)
class _Served:
    """What a server context is made of: chains in PEM with their tenants, and roots of clients."""

    chains: tuple[tuple[str, str], ...]
    roots: tuple[bytes, ...]
    is_mutual: bool


class GatewayTls:
    """Thread-safe. `server` is fast; `refresh` and `client` may block."""

    def __init__(self, sources: TlsSources) -> None:
        self._sources = sources
        self._lock = threading.Lock()
        self._served: _Served | None = None
        self._server = unready_context()
        self._clients: OrderedDict[bytes, ssl.SSLContext] = OrderedDict()

    def server(self) -> ssl.SSLContext:
        """The context of the next connection; every handshake fails until there is a network."""
        return self._server

    def refresh(self) -> None:
        """Take over what has changed; what cannot be read keeps the contexts as they are."""
        try:
            served = self._found()
            if served == self._served:
                return
            self._server = self._made(served)
        except (HostError, CpiError) as failed:
            _log.warning("gateway-tls-not-taken-over", reason=str(failed))
            return
        self._served = served
        _log.info("gateway-tls", certificates=len(served.chains), mutual=served.is_mutual)

    def client(self, tls: TlsIdentity) -> ssl.SSLContext:
        """The context for connections of a network.

        Raises:
            TlsRefusedError: a root, a certificate or a key cannot be used.
        """
        try:
            return self._client(tls)
        except (HostError, CpiError) as failed:
            if isinstance(failed, TlsRefusedError):
                raise
            raise TlsRefusedError(str(failed)) from failed

    def check(self, chain: Sequence[bytes], tls: TlsIdentity) -> None:
        """Check the chain of a gateway that was connected to.

        Raises:
            TlsRefusedError: it does not lead to the network's roots, or was revoked.
        """
        at = datetime.fromtimestamp(self._sources.clock.now_ms() / 1000, UTC)
        check_chain(chain, tls.trust_roots, at=at)
        refused = self._sources.revoked(chain, tls.trust_roots)
        if refused is not None:
            raise TlsRefusedError(refused)

    def _client(self, tls: TlsIdentity) -> ssl.SSLContext:
        pem = None if tls.tls_alias is None else self._chain(tls.tls_tenant, tls.tls_alias)
        digest = hashlib.sha256(b"" if pem is None else f"{tls.tls_tenant}\n{pem}".encode())
        for root in tls.trust_roots:
            digest.update(hashlib.sha256(root).digest())
        with self._lock:
            found = self._clients.get(digest.digest())
            if found is not None:
                self._clients.move_to_end(digest.digest())
                return found
        certificate = None if pem is None else self._certificate(tls.tls_tenant, pem)
        made = client_context(tls.trust_roots, certificate)
        with self._lock:
            self._clients[digest.digest()] = made
            while len(self._clients) > CLIENT_CONTEXTS_MAX:
                self._clients.popitem(last=False)
        return made

    def _found(self) -> _Served:
        names = {(each.tls_tenant, each.tls_alias) for each in self._sources.hosted.all()}
        # The cluster's certificates first: they serve clients that ask for no name here.
        ordered = sorted(names, key=lambda each: (each[0] != CLUSTER_TENANT, each))
        is_mutual = self._sources.is_mutual()
        return _Served(
            tuple((tenant, self._chain(tenant, alias)) for tenant, alias in ordered),
            tuple(sorted(self._sources.client_roots())) if is_mutual and ordered else (),
            is_mutual,
        )

    def _made(self, served: _Served) -> ssl.SSLContext:
        if not served.chains or (served.is_mutual and not served.roots):
            return unready_context()
        certificates = [self._certificate(tenant, pem) for tenant, pem in served.chains]
        return server_context(certificates, client_roots=served.roots)

    def _chain(self, tenant: str, alias: str) -> str:
        return self._sources.certificates.chain(TLS_USAGE, alias, tenant=tenant)

    def _certificate(self, tenant: str, pem: str) -> TlsCertificate:
        leaf = load_pem_certificates(pem.encode(), source="a TLS certificate")[0]
        key = leaf.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        public_key = self._sources.public_keys.canonical(key.decode())
        return TlsCertificate(
            chain=pem, key=self._sources.keys.tls_key(key_tenant(tenant), public_key)
        )
