"""The server's own certificate: self-signed, made at the first start, renewed before it expires."""

import datetime as dt
import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from host.adapters.files.durable_files import write_durably
from host.adapters.files.regular_files import require_regular
from host.domain.errors import StorageError
from host.ports.clock import Clock
from host.rest.wire import instant

_log = structlog.get_logger("cordbox.rest")
_VALID_DAYS = 825
_RENEW_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCertificate:
    """PEM files of the server's certificate chain and private key."""

    certificate_file: Path
    private_key_file: Path


def own_certificate(directory: Path, *, listen_host: str, clock: Clock) -> ServerCertificate:
    """The self-signed certificate in `directory`, created if it is missing or about to expire."""
    files = ServerCertificate(
        certificate_file=directory / "certificate.pem",
        private_key_file=directory / "private-key.pem",
    )
    now = instant(clock.now_ms())
    fault = _fault(files, now)
    if fault is not None:
        if files.certificate_file.exists() or files.private_key_file.exists():
            # Clients that trust the old one need the new one.
            _log.warning("certificate-made-anew", file=str(files.certificate_file), reason=fault)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _self_signed(key, _names(listen_host), now)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_durably(files.private_key_file, [pem])
        write_durably(
            files.certificate_file, [certificate.public_bytes(serialization.Encoding.PEM)]
        )
    return files


def _fault(files: ServerCertificate, now: dt.datetime) -> str | None:
    """Why the files cannot be used; None if they can."""
    for file in (files.certificate_file, files.private_key_file):
        try:
            require_regular(file)
        except FileNotFoundError:
            return f"{file.name} is missing"
        except OSError as error:
            raise StorageError(f"{file}: {error.strerror}", path=str(file)) from error
    try:
        certificate = x509.load_pem_x509_certificate(files.certificate_file.read_bytes())
        key = serialization.load_pem_private_key(files.private_key_file.read_bytes(), password=None)
    except (ValueError, TypeError):
        return "it or its private key cannot be read"
    if certificate.public_key() != key.public_key():
        return "its private key is another's"
    if certificate.not_valid_after_utc - now <= dt.timedelta(days=_RENEW_DAYS):
        return f"it ends on {certificate.not_valid_after_utc:%Y-%m-%d}"
    return None


def _self_signed(
    key: ec.EllipticCurvePrivateKey, names: list[x509.GeneralName], now: dt.datetime
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cordbox")])
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=_VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _names(listen_host: str) -> list[x509.GeneralName]:
    """Names that a local client may use for the server, and the address it listens on."""
    hosts = dict.fromkeys(["localhost", "127.0.0.1", "::1", socket.gethostname(), listen_host])
    return [_general_name(host) for host in hosts if host]


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
