"""How commands connect to a host: trusted certificates, and the meaning of connection errors."""

import ssl
from pathlib import Path

from host.domain.errors import ForbiddenError, HostError, InvalidInputError, UnavailableError


class CertificateUntrustedError(InvalidInputError):
    """The command does not trust the host's certificate; a retry cannot succeed."""

    code = "certificate-untrusted"


class UnauthorizedError(ForbiddenError):
    """The user does not exist on the host, or the password is wrong."""

    code = "not-authenticated"


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """Trust the certificates in `ca_file`, or the system's if it is None.

    Raises:
        InvalidInputError: the file cannot be read, or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except ssl.SSLError as error:
        raise InvalidInputError(f"{ca_file} holds no certificate: {error}") from error
    except OSError as error:
        raise InvalidInputError(f"{ca_file}: {error.strerror}") from error


def no_answer(url: str, error: BaseException) -> HostError:
    """The refusal for a request that failed with `error` before an answer arrived."""
    untrusted = _cause(error, ssl.SSLCertVerificationError)
    if untrusted is not None:
        return CertificateUntrustedError(
            f"the certificate of {url} is not trusted: {untrusted.verify_message};"
            " name the one to trust with --ca-file (tls/certificate.pem in the data directory)"
        )
    return UnavailableError(f"host {url} does not answer: {error}")


def _cause(
    error: BaseException | None, kind: type[ssl.SSLCertVerificationError]
) -> ssl.SSLCertVerificationError | None:
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error
