"""What a group policy says of connections: `p2pParameters`, of members and of MGMs alike."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from cpi.crypto.certificates import load_pem_certificates
from cpi.errors import CpiError
from host.domain.errors import InvalidInputError
from host.network.link.protection import Mode


class NetworkPolicyInvalidError(InvalidInputError):
    """A group policy says nothing of connections, or nothing that this host supports."""

    code = "network-policy-invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPolicy:
    """The connections of a network.

    Attributes:
        mode: of its sessions.
        is_mutual: clients present TLS certificates.
        tls_roots: trust roots of TLS certificates, as DER.
        session_roots: trust roots of session certificates, as DER; None without such certificates.
        mgm_subject: of the MGM's TLS certificate, where clients present them.
    """

    mode: Mode
    is_mutual: bool
    tls_roots: tuple[bytes, ...]
    session_roots: tuple[bytes, ...] | None
    mgm_subject: str | None


@lru_cache(maxsize=256)
def read_network_policy(text: str) -> NetworkPolicy:
    """Read the text of a group policy.

    Raises:
        NetworkPolicyInvalidError: it has no `p2pParameters`, or they cannot be used.
    """
    p2p: Mapping[str, Any] = json.loads(text).get("p2pParameters") or {}
    try:
        mode = Mode(p2p.get("protocolMode", ""))
    except ValueError as exc:
        raise NetworkPolicyInvalidError(f"protocolMode of the group policy: {exc}") from exc
    has_certificates = p2p.get("sessionPki", "NoPKI") != "NoPKI"
    subject = p2p.get("mtlsMgmClientCertificateSubject")
    return NetworkPolicy(
        mode=mode,
        is_mutual=p2p.get("tlsType", "OneWay") == "Mutual",
        tls_roots=_roots(p2p, "tlsTrustRoots"),
        session_roots=_roots(p2p, "sessionTrustRoots") if has_certificates else None,
        mgm_subject=None if subject is None else str(subject),
    )


def _roots(p2p: Mapping[str, Any], name: str) -> tuple[bytes, ...]:
    try:
        return tuple(
            certificate.public_bytes(Encoding.DER)
            for pem in p2p.get(name) or ()
            for certificate in load_pem_certificates(str(pem).encode(), source=name)
        )
    except CpiError as exc:
        raise NetworkPolicyInvalidError(f"{name} of the group policy: {exc}") from exc
