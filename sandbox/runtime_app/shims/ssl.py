"""`ssl` of a sandbox: constants and errors for packages that name them; connections refuse."""

from enum import IntEnum


class SSLError(OSError):
    """An error of TLS."""


class SSLCertVerificationError(SSLError, ValueError):
    """A certificate that does not verify."""


class SSLContext:
    """Settings of connections; refused."""


class VerifyMode(IntEnum):
    """Whether a peer has to have a certificate."""

    CERT_NONE = 0
    CERT_OPTIONAL = 1
    CERT_REQUIRED = 2


class Purpose:
    """What a context is for."""

    SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
    CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"


CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED = VerifyMode
CertificateError = SSLCertVerificationError
PROTOCOL_TLS = PROTOCOL_SSLv23 = 2
PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER = 16, 17
HAS_SNI = HAS_ALPN = False


def _refused() -> None:
    """Stands for what the table of modules refuses."""


create_default_context = get_server_certificate = _refused
