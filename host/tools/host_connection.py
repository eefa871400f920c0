"""How commands connect to a host: whom they trust, and what it means when no answer comes."""

import ssl
from pathlib import Path

from host.domain.errors import ForbiddenError, HostError, InvalidInputError, UnavailableError


class CertificateUntrustedError(InvalidInputError):
    """The host's certificate is not one that the command trusts: trying again cannot help."""

    code = "certificate-untrusted"


class UnauthorizedError(ForbiddenError):
    """The host does not know the user, or the password is wrong."""

    code = "unauthorized"


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """Trust the certificates in `ca_file`, without one those of the system.

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
    """The refusal for a request that `error` ended before the answer was there."""
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
