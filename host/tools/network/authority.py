"""Certificates for the gateways of a network: from a development authority, or by a command.

The key of the development authority lies in a file: who reads it can answer for any host of the
network. Production networks name an authority of their own by `--ca-command`.
"""

import shlex
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from cpi.crypto.der import check_der
from cpi.crypto.pem import single_pem
from host.domain.errors import InvalidInputError, UnavailableError
from host.domain.refused import shown

Issue = Callable[[str], str]
"""Certificate signing request, PEM -> certificate chain, PEM, leaf first."""

_NAME = "CN=Development authority,O=Cordbox,C=GB"
_ROOT_DAYS, _LEAF_DAYS = 3650, 397
_COMMAND_SECONDS_MAX = 120


class AuthorityFailedError(UnavailableError):
    """The command of the certificate authority failed, or printed no certificate."""

    code = "certificate-authority-failed"


class DevelopmentAuthority:
    """A certificate authority whose key and certificate are files of a folder.

    Args:
        folder: is made, with a new authority in it, unless it holds one.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.root_file = folder / "ca.pem"
        key_file = folder / "ca-key.pem"
        if not self.root_file.exists():
            key, root = _new_authority()
            key_file.touch(mode=0o600)
            key_file.write_bytes(
                key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            )
            self.root_file.write_bytes(root.public_bytes(Encoding.PEM))
        self._root = x509.load_pem_x509_certificate(self.root_file.read_bytes())
        loaded = load_pem_private_key(key_file.read_bytes(), None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise InvalidInputError(f"{key_file} holds no EC key")
        self._key = loaded

    @property
    def root(self) -> str:
        """The authority's own certificate, PEM."""
        return self.root_file.read_text(encoding="ascii")

    def issue(self, csr: str) -> str:
        """The chain for a certificate signing request: its names are taken as they are."""
        der = single_pem(csr.encode(), "CERTIFICATE REQUEST").der()
        check_der(der)
        request = x509.load_der_x509_csr(der)
        builder = (
            _builder(request.subject, request.public_key(), self._root.subject, _LEAF_DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
                ),
                critical=False,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        try:
            names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            builder = builder.add_extension(names.value, critical=False)
        except x509.ExtensionNotFound:
            pass
        leaf = builder.sign(self._key, SHA256())
        return leaf.public_bytes(Encoding.PEM).decode() + self.root


def issue_by_command(command: str) -> Issue:
    """An authority that is a command: it reads a request and writes a chain, both in PEM.

    Raises:
        InvalidInputError: the text is no command line.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InvalidInputError(f"{command!r} is no command line: {error}") from error
    if not words:
        raise InvalidInputError("the command of the certificate authority is empty")

    def issue(csr: str) -> str:
        try:
            done = subprocess.run(
                words,
                input=csr,
                capture_output=True,
                text=True,
                timeout=_COMMAND_SECONDS_MAX,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as error:
            raise AuthorityFailedError(f"{words[0]}: {error}") from error
        if done.returncode:
            why = shown(done.stderr.strip() or "it wrote no reason")
            raise AuthorityFailedError(f"{words[0]} ended with {done.returncode}: {why}")
        if "BEGIN CERTIFICATE" not in done.stdout:
            raise AuthorityFailedError(f"{words[0]} wrote no certificate")
        return done.stdout

    return issue


def _new_authority() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name.from_rfc4514_string(_NAME)
    builder = (
        _builder(name, key.public_key(), name, _ROOT_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNS_CERTIFICATES, critical=True)
    )
    return key, builder.sign(key, SHA256())


def _builder(
    subject: x509.Name, key: CertificatePublicKeyTypes, issuer: x509.Name, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # Clocks of hosts differ by minutes.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
