"""Certificates over REST: what the libraries choke on is refused with 400, never answered by 500."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.network.development_ca import DevelopmentCa

PATH = "/api/v5_2/certificate/cluster/code-signer"


def certificate(*extensions: tuple[str, bytes]) -> bytes:
    """The DER of a self-signed certificate with extensions as they are."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "odd")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
    )
    for oid, value in extensions:
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


def with_identifier(octets: bytes) -> bytes:
    """A certificate whose signature algorithm has an object identifier of those octets."""
    parts = asn1_x509.Certificate.load(certificate())
    size = len(octets).to_bytes(4, "big")
    bomb = b"\x30\x84" + (len(octets) + 6).to_bytes(4, "big") + b"\x06\x84" + size + octets
    body = parts["tbs_certificate"].dump() + bomb + parts["signature_value"].dump()
    return b"\x30\x84" + len(body).to_bytes(4, "big") + body


ODD = {
    "an address of seven bytes": lambda: certificate(
        ("2.5.29.30", bytes.fromhex("300da00b300987077f000001ffffff"))
    ),
    "an address mask of holes": lambda: certificate(
        ("2.5.29.30", bytes.fromhex("300ea00c300a87087f000001ff00ff00"))
    ),
    "an empty sequence of constraints": lambda: certificate(("2.5.29.30", b"\x30\x00")),
    "an extension that is no DER": lambda: certificate(("2.5.29.19", b"\xff\xff")),
    "an extension twice": lambda: certificate(("2.5.29.19", b"\x30\x00"), ("2.5.29.14", b"")),
    "an object identifier of 40,000 bytes": lambda: with_identifier(b"\x81" * 40_000 + b"\x01"),
    "no certificate": lambda: b"\x30\x00",
    "nothing": lambda: b"",
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_certificate_is_refused_with_400(api: Any, name: str) -> None:
    body = base64.encodebytes(ODD[name]())
    pem = b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"
    reply = api.put(PATH, data={"alias": "odd"}, files={"certificate": pem})
    assert reply.status_code == 400, reply.text
    assert reply.json()["details"]["code"] == "certificate-refused"
    assert "odd" not in api.get(PATH).json()


def test_certificates_and_setup_of_a_node_over_rest(api: Any, alice: str) -> None:
    """Corda's paths and statuses; `tests/network/test_network_setup.py` has the rules."""
    base, key = f"/api/v5_2/certificate/vnode/{alice}", ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    chain = DevelopmentCa().chain(public.decode(), "O=Alice,L=London,C=GB")
    for usage, status in (("p2p-tls", 204), ("p2p-session", 204), ("code-signer", 400)):
        reply = api.put(
            f"{base}/{usage}", data={"alias": "mine"}, files={"certificate": ("c.pem", chain)}
        )
        assert reply.status_code == status, reply.text
    assert api.get(f"{base}/p2p-session").json() == ["mine"]
    assert api.get(f"{base}/p2p-session/mine").text == chain.decode()
    assert api.get(f"{base}/p2p-session/other").status_code == 404
    assert api.get("/api/v5_2/certificate/cluster/p2p-tls").json() == []
    assert api.get("/api/v5_2/certificate/vnode/000000000000/p2p-tls").status_code == 404
    setup = {
        "p2pTlsCertificateChainAlias": "mine",
        "useClusterLevelTlsCertificateAndKey": False,
        "sessionKeysAndCertificates": [{"preferred": True, "sessionKeyId": "0" * 12}],
    }
    reply = api.put(f"/api/v5_2/network/setup/{alice}", json=setup)
    assert (reply.status_code, reply.json()["details"]["code"]) == (400, "network-setup-refused")
    reply = api.put("/api/v5_2/network/setup/000000000000", json=setup)
    assert reply.status_code == 404
