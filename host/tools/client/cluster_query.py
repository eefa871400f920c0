"""Collects from a running host, over REST, the facts that decide about an upload."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2

from host.domain.errors import ForbiddenError
from host.tools.client.answers import parsed
from host.tools.client.cluster_facts import ClusterAnswerError, ClusterFacts, stored_cpis
from host.tools.client.host_client import NEXT_HEADER
from host.tools.client.host_connection import UnauthorizedError, no_answer, trusting

_PREFIX = "/api/v5_2"
_SECONDS_MAX = 10.0
_REPLY_BYTES_MAX = 64 * 1024 * 1024
_ALIASES_MAX = 1000
_PAGES_MAX = 1000


def ask_cluster(url: str, *, user: str, password: str, ca_file: Path | None) -> ClusterFacts:
    """The facts that the cluster at `url` reports.

    Args:
        url: scheme, host and port.
        user: an account that may list CPIs and certificates.
        password: of that account.
        ca_file: PEM certificate to trust instead of the system's.

    Raises:
        UnavailableError: it does not respond.
        CertificateUntrustedError: its certificate is not trusted.
        UnauthorizedError: unknown user or wrong password.
        ForbiddenError: the user may not do this.
        ClusterAnswerError: its answer is not one of a host.
    """
    context = trusting(ca_file)
    base = url.rstrip("/") + _PREFIX
    with httpx2.Client(auth=(user, password), verify=context, timeout=_SECONDS_MAX) as client:
        try:
            return ClusterFacts(
                cluster=url,
                platform_version=_platform_version(client, base),
                cpis=tuple(
                    cpi for page in _pages(client, f"{base}/cpi") for cpi in stored_cpis(page)
                ),
                code_signers=_code_signers(client, base),
            )
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise no_answer(url, error) from error


def _platform_version(client: httpx2.Client, base: str) -> int:
    reply = _json(client, f"{base}/cpi/getprotocolversion")
    if not isinstance(reply, int):
        raise ClusterAnswerError(f"the protocol version is {reply!r}, expected a number")
    return reply


def _code_signers(client: httpx2.Client, base: str) -> dict[str, str]:
    path = f"{base}/certificate/cluster/code-signer"
    aliases: list[object] = []
    for page in _pages(client, path):
        aliases += page if isinstance(page, list) else [None] * (_ALIASES_MAX + 1)
        if len(aliases) > _ALIASES_MAX:
            raise ClusterAnswerError(f"the code signers are no list of at most {_ALIASES_MAX}")
    return {str(a): _text(client, f"{path}/{quote(str(a), safe='')}") for a in aliases}


def _pages(client: httpx2.Client, url: str) -> Iterator[Any]:
    """The JSON values of a list's pages."""
    cursor: str | None = None
    for _ in range(_PAGES_MAX):
        page = url if cursor is None else f"{url}?after={quote(cursor, safe='')}"
        data, cursor = _get(client, page)
        yield parsed(data, url)
        if cursor is None:
            return
    raise ClusterAnswerError(f"{url} has more than {_PAGES_MAX} pages")


def _json(client: httpx2.Client, url: str) -> Any:
    return parsed(_get(client, url)[0], url)


def _text(client: httpx2.Client, url: str) -> str:
    try:
        return _get(client, url)[0].decode()
    except UnicodeDecodeError as error:
        raise ClusterAnswerError(f"{url} answers no text: {error}") from error


def _get(client: httpx2.Client, url: str) -> tuple[bytes, str | None]:
    """The body of an answer, and the cursor of the page after it."""
    body = bytearray()
    with client.stream("GET", url) as reply:
        if reply.status_code in (httpx2.codes.UNAUTHORIZED, httpx2.codes.FORBIDDEN):
            is_known = reply.status_code == httpx2.codes.FORBIDDEN
            kind = ForbiddenError if is_known else UnauthorizedError
            raise kind(f"{url} refuses the user: status {reply.status_code}")
        if reply.status_code != httpx2.codes.OK:
            raise ClusterAnswerError(f"{url} answers with status {reply.status_code}, expected 200")
        for chunk in reply.iter_bytes():
            body += chunk
            if len(body) > _REPLY_BYTES_MAX:
                raise ClusterAnswerError(f"{url} answers more than {_REPLY_BYTES_MAX} bytes")
    return bytes(body), reply.headers.get(NEXT_HEADER)
