"""New group policies: of a static network, and of a network's manager (MGM).

Corda's tool writes trust roots that expired in 2022. A policy made here gets a fresh self-signed
root, valid for ten years, whose key is thrown away: a static network's members never meet over TLS
certificates below it, and nobody can issue any.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from cpi.package.group_policy import (
    CREATE_ID,
    FILE_FORMAT_VERSION,
    StaticMember,
    parse_group_policy,
)

_ROOT_VALIDITY = timedelta(days=3652)
_STATIC_REGISTRATION = (
    "net.corda.membership.impl.registration.staticnetwork.StaticMemberRegistrationService"
)
_STATIC_SYNCHRONISATION = "net.corda.membership.impl.sync.staticnetwork.StaticMemberSyncService"
_MGM_REGISTRATION = "net.corda.membership.impl.registration.dynamic.mgm.MGMRegistrationService"
_MGM_SYNCHRONISATION = "net.corda.membership.impl.synchronisation.MgmSynchronisationServiceImpl"
_CIPHER_SUITE = {
    "corda.provider": "default",
    "corda.signature.provider": "default",
    "corda.signature.default": "ECDSA_SECP256K1_SHA256",
    "corda.signature.FRESH_KEYS": "ECDSA_SECP256K1_SHA256",
    "corda.digest.default": "SHA256",
    "corda.cryptoservice.provider": "default",
}


def generate_static_policy(
    *,
    names: Sequence[str],
    group_id: str | UUID | None,
    endpoint_url: str,
    endpoint_protocol: int,
    trust_root: str | None = None,
) -> str:
    """A static network of active members that share one endpoint.

    Args:
        names: X.500 names, in the order in which they shall appear.
        group_id: a UUID; None makes a new one.
        endpoint_url: where all members are reached.
        endpoint_protocol: Corda's P2P protocol version.
        trust_root: PEM of the TLS and session trust root; None makes a fresh one.

    Raises:
        GroupPolicyError: an argument does not fit into a valid policy.
    """
    members = [
        {
            "name": name,
            "memberStatus": "ACTIVE",
            "endpointUrl-1": endpoint_url,
            "endpointProtocol-1": endpoint_protocol,
        }
        for name in names
    ]
    return _static(members, group_id, trust_root)


def generate_static_policy_of(
    members: Sequence[StaticMember], *, group_id: str | UUID | None, trust_root: str | None = None
) -> str:
    """A static network of members with their own status and endpoints.

    Raises:
        GroupPolicyError: a member does not fit into a valid policy.
    """
    documents = []
    for member in members:
        document: dict[str, object] = {"name": member.name, "memberStatus": member.status}
        for number, endpoint in enumerate(member.endpoints, 1):
            document[f"endpointUrl-{number}"] = endpoint.url
            document[f"endpointProtocol-{number}"] = endpoint.protocol_version
        documents.append(document)
    return _static(documents, group_id, trust_root)


def _static(
    members: Sequence[dict[str, object]], group_id: str | UUID | None, trust_root: str | None
) -> str:
    root = trust_root or _fresh_trust_root()
    document = {
        "fileFormatVersion": FILE_FORMAT_VERSION,
        "groupId": str(group_id or uuid4()),
        "registrationProtocol": _STATIC_REGISTRATION,
        "synchronisationProtocol": _STATIC_SYNCHRONISATION,
        "protocolParameters": {
            "sessionKeyPolicy": "Combined",
            "staticNetwork": {"members": list(members)},
        },
        "p2pParameters": {
            "sessionTrustRoots": [root],
            "tlsTrustRoots": [root],
            "sessionPki": "Standard",
            "tlsPki": "Standard",
            "tlsVersion": "1.3",
            "protocolMode": "Authenticated_Encryption",
            "tlsType": "OneWay",
        },
        "cipherSuite": _CIPHER_SUITE,
    }
    return _checked(document)


def generate_mgm_policy() -> str:
    """The policy of a network's manager, which makes its group id when its node is created."""
    return _checked(
        {
            "fileFormatVersion": FILE_FORMAT_VERSION,
            "groupId": CREATE_ID,
            "registrationProtocol": _MGM_REGISTRATION,
            "synchronisationProtocol": _MGM_SYNCHRONISATION,
        }
    )


def _checked(document: dict[str, object]) -> str:
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    parse_group_policy(text)
    return text


def _fresh_trust_root() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "GB"),
            x509.NameAttribute(NameOID.LOCALITY_NAME, "London"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Cordbox static network"),
            x509.NameAttribute(NameOID.COMMON_NAME, "Trust root without key"),
        ]
    )
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + _ROOT_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode()
