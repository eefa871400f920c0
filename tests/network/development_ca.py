"""A certificate authority of tests: issues chains for keys, valid around any tested moment."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_public_key

FROM, UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)


class DevelopmentCa:
    """A self-signed root, and an issuing CA below it."""

    def __init__(self, name: str = "ca") -> None:
        self._root_key, self._key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root = _name(f"CN={name} root")
        self._name = _name(f"CN={name}")
        self._root = _signed(_ca(root, self._root_key.public_key(), root), self._root_key)
        self._ca = _signed(_ca(self._name, self._key.public_key(), root), self._root_key)

    @property
    def root_pem(self) -> str:
        return self._root.public_bytes(Encoding.PEM).decode()

    @property
    def root_der(self) -> bytes:
        return self._root.public_bytes(Encoding.DER)

    def chain(self, public_key: str, subject: str, *hosts: str, until: datetime = UNTIL) -> bytes:
        """PEM: a certificate for a PEM public key, and the one of its CA."""
        return self._chain(load_pem_public_key(public_key.encode()), _name(subject), hosts, until)

    def answer(self, csr: str, *hosts: str) -> bytes:
        """PEM: the chain for a certificate signing request."""
        request = x509.load_pem_x509_csr(csr.encode())
        return self._chain(request.public_key(), request.subject, hosts, UNTIL)

    def _chain(self, key, subject, hosts, until) -> bytes:
        builder = _builder(subject, key, self._name, until)
        if hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        leaf = _signed(builder, self._key)
        return leaf.public_bytes(Encoding.PEM) + self._ca.public_bytes(Encoding.PEM)


def _name(text: str) -> x509.Name:
    return x509.Name.from_rfc4514_string(text.replace(", ", ","))


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(subject, key, issuer, until=UNTIL) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(FROM)
        .not_valid_after(until)
    )


def _ca(subject, key, issuer) -> x509.CertificateBuilder:
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    return _builder(subject, key, issuer).add_extension(constraints, critical=True)


def _signed(builder, key) -> x509.Certificate:
    return builder.sign(key, SHA256())
