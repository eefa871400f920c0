"""How commands connect to a host: trusted certificates, and the meaning of connection errors."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from host.domain.errors import ForbiddenError, HostError, InvalidInputError, UnavailableError
from host.domain.refused import shown
from host.tools.client.answers import parsed
from host.tools.client.cluster_facts import ClusterAnswerError

_OPEN_SECONDS_MAX = 5.0
_OPEN_BYTES_MAX = 16 * 1024 * 1024


class CertificateUntrustedError(InvalidInputError):
    """The command does not trust the host's certificate; a retry cannot succeed."""

    code = "certificate-untrusted"


class UnauthorizedError(ForbiddenError):
    """The user does not exist on the host, or the password is wrong."""

    code = "not-authenticated"


class UrlInvalidError(InvalidInputError):
    """The text is no URL of a host: scheme, host and port."""

    code = "url-invalid"


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """Trust the certificates in `ca_file`, or the system's if it is None.

    Raises:
        InvalidInputError: the file cannot be read, or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidInputError(f"{ca_file} holds no certificate: {error}") from error
    except OSError as error:
        raise InvalidInputError(f"{ca_file}: {error.strerror}") from error


def ask_openly(
    url: str, path: str, ca_file: Path | None, *, any_status: bool = False
) -> Mapping[str, Any]:
    """The JSON object that a host answers without a user.

    Args:
        url: scheme, host and port.
        path: such as `/status`.
        ca_file: PEM certificate to trust instead of the system's.
        any_status: also take an answer whose HTTP status is an error.

    Raises:
        HostError: see `no_answer`; the host answers an error, or something else.
    """
    body = bytearray()
    try:
        with (
            httpx2.Client(
                base_url=url, verify=trusting(ca_file), timeout=_OPEN_SECONDS_MAX
            ) as client,
            client.stream("GET", path) as reply,
        ):
            if not any_status and not reply.is_success:
                raise ClusterAnswerError(f"{url}{path} answers with status {reply.status_code}")
            for chunk in reply.iter_bytes():
                body += chunk
                if len(body) > _OPEN_BYTES_MAX:
                    raise ClusterAnswerError(f"{url}{path} answers too much")
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise no_answer(url, error) from error
    answer = parsed(bytes(body), f"{url}{path}")
    if not isinstance(answer, dict):
        raise ClusterAnswerError(f"{url}{path} answers no object")
    return answer


def no_answer(url: str, error: BaseException) -> HostError:
    """The refusal for a request that failed with `error` before an answer arrived."""
    untrusted = _cause(error, ssl.SSLCertVerificationError)
    if untrusted is not None:
        return CertificateUntrustedError(
            f"the certificate of {url} is not trusted: {untrusted.verify_message};"
            " name the one to trust with --ca-file (tls/certificate.pem in the data directory)"
        )
    if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
        return UrlInvalidError(f"{shown(url)} cannot be asked: {shown(str(error))}")
    return UnavailableError(f"host {url} does not answer: {str(error) or type(error).__name__}")


def _cause(
    error: BaseException | None, kind: type[ssl.SSLCertVerificationError]
) -> ssl.SSLCertVerificationError | None:
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error
