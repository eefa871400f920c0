"""The certificate and the key of HTTPS: checked before use, and reread when they change.

An unusable pair is refused with the reason and the file. While a host runs, changed files are
reread; if the new pair is refused, the old one stays in use.
"""

import datetime as dt
import ipaddress
import ssl
import stat
import threading
from dataclasses import dataclass
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from cpi.crypto.certificate import Certificate
from cpi.crypto.certificates import load_pem_certificates
from cpi.errors import KeystoreError
from host.adapters.files.regular_files import read_regular
from host.domain.errors import InvalidInputError
from host.ports.clock import Clock
from host.rest.tls import ServerCertificate
from host.rest.wire import instant
from host.settings import HostSettings

WARN_DAYS = 30
"""How long before its expiry a certificate causes warnings."""
_FILE_BYTES_MAX = 1 << 20
_OTHERS = stat.S_IROTH | stat.S_IWOTH
_ANY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104  # compared with, not listened on

_log = structlog.get_logger("cordbox.rest")


class TlsFilesError(InvalidInputError):
    """HTTPS cannot be served with the certificate and the key that are given."""

    code = "tls-files-refused"


class TlsFileUnreadableError(TlsFilesError):
    """A file that should hold a PEM certificate or private key cannot be read, or holds none."""

    code = "tls-file-unreadable"


class TlsKeyEncryptedError(TlsFilesError):
    """The private key for HTTPS is encrypted; the host cannot ask for its passphrase."""

    code = "tls-key-encrypted"


class TlsKeyMismatchError(TlsFilesError):
    """The private key for HTTPS is not that of the certificate."""

    code = "tls-key-mismatch"


class TlsCertificateExpiredError(TlsFilesError):
    """The certificate for HTTPS is no longer valid."""

    code = "tls-certificate-expired"


class TlsCertificateNotYetValidError(TlsFilesError):
    """The certificate for HTTPS is not valid yet, or the clock of the machine is wrong."""

    code = "tls-certificate-not-yet-valid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate and key that fit, as the server uses them."""

    context: ssl.SSLContext
    expires: dt.datetime
    names: frozenset[str]


def check_files(files: ServerCertificate, *, now: dt.datetime) -> Pair:
    """Read both files and check that HTTPS can be served with them.

    Raises:
        TlsFilesError: they cannot be used; the message names the file.
    """
    leaf = _certificate(files.certificate_file)
    key = _private_key(files.private_key_file)
    if not leaf.has_key(key.public_key()):
        raise TlsKeyMismatchError(
            f"{files.private_key_file} is not the private key of the certificate in"
            f" {files.certificate_file} ({leaf.subject.rfc4514_string()})"
        )
    if now > leaf.not_valid_after_utc:
        raise TlsCertificateExpiredError(
            f"{files.certificate_file}: the certificate expired at"
            f" {_text(leaf.not_valid_after_utc)}"
        )
    if now < leaf.not_valid_before_utc:
        raise TlsCertificateNotYetValidError(
            f"{files.certificate_file}: the certificate is valid from"
            f" {_text(leaf.not_valid_before_utc)}, and now it is {_text(now)}"
        )
    return Pair(context=_context(files), expires=leaf.not_valid_after_utc, names=_names(leaf))


def given_files(settings: HostSettings) -> ServerCertificate | None:
    """The files that the settings name, if any."""
    certificate, key = settings.tls_certificate_file, settings.tls_private_key_file
    if certificate is None or key is None:
        return None
    return ServerCertificate(certificate_file=certificate, private_key_file=key)


def check_given_files(settings: HostSettings, clock: Clock) -> None:
    """Check the files that the settings name before anything is started.

    Raises:
        TlsFilesError: they cannot be used.
    """
    files = given_files(settings)
    if files is not None:
        check_files(files, now=instant(clock.now_ms()))


def is_named(host: str, names: frozenset[str]) -> bool:
    """Whether one of a certificate's names is `host`; for a wildcard address any name will do."""
    if host in _ANY_ADDRESS:
        return bool(names)
    wanted = host.lower()
    return wanted in names or f"*.{wanted.partition('.')[2]}" in names


class Certificates:
    """The pair in use. Thread-safe.

    Args:
        files: paths of the pair.
        clock: for the check of validity.
        listen_host: the name that clients may use for the server.

    Raises:
        TlsFilesError: the files cannot be used.
    """

    def __init__(self, files: ServerCertificate, clock: Clock, *, listen_host: str) -> None:
        self.files = files
        self._clock = clock
        self._listen_host = listen_host
        self._lock = threading.Lock()
        self._used = self._seen = self._signature()
        self._pair = check_files(files, now=self._now())
        self._warned_on: dt.date | None = None
        self._warn_of_pair()
        self.warn_of_end()

    def context(self) -> ssl.SSLContext:
        """The TLS context of new connections."""
        return self._pair.context

    def seconds_left(self) -> float:
        """Time until the certificate expires; negative after that."""
        return (self._pair.expires - self._now()).total_seconds()

    def warning(self) -> str | None:
        """A warning that the certificate expires soon, or has expired; else None."""
        left = self.seconds_left()
        if left > WARN_DAYS * 86_400:
            return None
        word = "expires" if left > 0 else "expired"
        return f"the certificate of the REST interface {word} at {_text(self._pair.expires)}"

    def warn_of_end(self) -> None:
        """Log `warning`, at most once a day."""
        warning = self.warning()
        today = self._now().date()
        if warning is not None and self._warned_on != today:
            self._warned_on = today
            _log.warning(
                "certificate-expires", reason=warning, file=str(self.files.certificate_file)
            )

    def look(self) -> None:
        """Reread files that have changed since they were read and are stable now.

        A certificate and its key are not replaced atomically: changed files are read once they are
        unchanged between two checks.
        """
        signature = self._signature()
        if signature != self._used and signature == self._seen:
            self.reread()
        self._seen = signature
        self.warn_of_end()

    def reread(self) -> bool:
        """Reread the files; returns whether they are in use now."""
        with self._lock:
            self._used = self._signature()
            try:
                self._pair = check_files(self.files, now=self._now())
            except TlsFilesError as refused:
                _log.error("certificate-refused", code=refused.code, reason=refused.message)
                return False
            _log.info(
                "certificate-reread",
                file=str(self.files.certificate_file),
                expires=_text(self._pair.expires),
            )
            self._warned_on = None
        self._warn_of_pair()
        self.warn_of_end()
        return True

    def _warn_of_pair(self) -> None:
        mode = _mode_of(self.files.private_key_file)
        if mode & _OTHERS:
            _log.warning(
                "private-key-exposed",
                file=str(self.files.private_key_file),
                mode=f"{mode:04o}",
                expected="0600, or 0640 with a group of its own",
            )
        if not is_named(self._listen_host, self._pair.names):
            _log.warning(
                "certificate-names-another",
                file=str(self.files.certificate_file),
                listens=self._listen_host,
                names=sorted(self._pair.names),
            )

    def _now(self) -> dt.datetime:
        return instant(self._clock.now_ms())

    def _signature(self) -> tuple[tuple[int, ...] | None, ...]:
        return tuple(
            _signature_of(file)
            for file in (self.files.certificate_file, self.files.private_key_file)
        )


def _mode_of(file: Path) -> int:
    try:
        return stat.S_IMODE(file.stat().st_mode)
    except OSError:  # removed since it was read
        return 0


def _signature_of(file: Path) -> tuple[int, ...] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _read(file: Path) -> bytes:
    try:
        # On many hosts, a symbolic link points to the current certificate.
        data = read_regular(file, _FILE_BYTES_MAX, follow=True)
    except OSError as error:
        raise TlsFileUnreadableError(f"{file}: {error.strerror}") from error
    if len(data) > _FILE_BYTES_MAX:
        raise TlsFileUnreadableError(f"{file}: larger than {_FILE_BYTES_MAX} bytes")
    return data


def _certificate(file: Path) -> Certificate:
    data = _read(file)
    try:
        return load_pem_certificates(data, source=str(file))[0]
    except KeystoreError as error:
        raise TlsFileUnreadableError(f"{file} cannot be used: {error}") from error


def _private_key(file: Path) -> PrivateKeyTypes:
    data = _read(file)
    try:
        return serialization.load_pem_private_key(data, password=None)
    except TypeError as error:
        raise TlsKeyEncryptedError(
            f"{file} holds an encrypted private key; the host needs one without a passphrase,"
            " readable by its user only"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TlsFileUnreadableError(f"{file} holds no PEM private key") from error


def _context(files: ServerCertificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(
            files.certificate_file, files.private_key_file, password=lambda: b""
        )
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
        raise TlsFilesError(
            f"{files.certificate_file} and {files.private_key_file}: {reason}"
        ) from error
    return context


def _names(leaf: Certificate) -> frozenset[str]:
    try:
        extensions = x509.load_der_x509_certificate(leaf.der).extensions
        found = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    # The library reads fewer certificates than `cpi.crypto.certificate`.
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.InvalidVersion, ValueError):
        return frozenset()
    addresses = found.get_values_for_type(x509.IPAddress)
    return frozenset(
        [name.lower() for name in found.get_values_for_type(x509.DNSName)]
        + [
            str(a)
            for a in addresses
            if isinstance(a, ipaddress.IPv4Address | ipaddress.IPv6Address)
        ]
    )


def _text(time: dt.datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
