"""HTTP to a timestamp authority: one POST, bounded in time and size."""

import time
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx2

from cpi.jar.timestamp_requests import RESPONSE_BYTES_MAX, TimestampFetcher, unavailable

_SECONDS_MAX = 30.0
_REQUEST = "application/timestamp-query"
_RESPONSE = "application/timestamp-reply"


def http_fetcher(
    url: str,
    *,
    seconds_max: float = _SECONDS_MAX,
    clock: Callable[[], float] = time.monotonic,
) -> TimestampFetcher:
    """Reaches the authority at `url` (http or https; RFC 3161 section 3.4).

    Plain HTTP is usual and sufficient, since answers are signed. Redirects are not followed.

    Args:
        url: the authority.
        seconds_max: how long each step of the exchange may take, and the whole of it.
        clock: monotonic seconds.

    Raises:
        SignatureError: `url` is not valid; when called: there was no usable answer in time.
    """
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_url = False
    if not is_url:
        raise unavailable(url, "expected an http:// or https:// URL")

    def fetch(request: bytes) -> bytes:
        deadline = clock() + seconds_max
        try:
            with (
                httpx2.Client(timeout=seconds_max, follow_redirects=False) as client,
                client.stream(
                    "POST", url, content=request, headers={"Content-Type": _REQUEST}
                ) as response,
            ):
                return _body(response, url, lambda: clock() > deadline)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise unavailable(url, str(error) or type(error).__name__) from error

    return fetch


def _body(response: httpx2.Response, url: str, is_late: Callable[[], bool]) -> bytes:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if response.status_code != httpx2.codes.OK or kind != _RESPONSE:
        raise unavailable(
            url,
            f"expected status 200 and {_RESPONSE}, "
            f"found {response.status_code} and {kind or 'no content type'}",
        )
    body = bytearray()
    for part in response.iter_bytes():
        body += part
        if len(body) > RESPONSE_BYTES_MAX:
            raise unavailable(url, f"the answer has more than {RESPONSE_BYTES_MAX} bytes")
        if is_late():
            raise unavailable(url, "the answer took too long")
    return bytes(body)
