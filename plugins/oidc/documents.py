"""JSON documents of the provider, over HTTPS: no redirects, bounded in size and time."""

import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from cpi.strict_json import JsonRefusedError, parse_json
from host.ports.identity import IdentityProviderAwayError

BYTES_MAX = 256 * 1024
SECONDS_MAX = 10.0
"""For a whole answer."""
_PART_SECONDS_MAX = 5.0


class Documents:
    """Asks one provider. Thread-safe.

    Args:
        ca_file: PEM certificates to trust; None for those of the system.
    """

    def __init__(self, ca_file: Path | None) -> None:
        self._context = ssl.create_default_context(cafile=ca_file)

    def get(self, url: str) -> Any:
        """The document at an https URL.

        Raises:
            IdentityProviderAwayError: it cannot be had, or is not what it should be.
        """
        return self._asked("GET", url)

    def post(self, url: str, form: Mapping[str, str], *, client: tuple[str, str] | None) -> Any:
        """What a form is answered with.

        Args:
            url: https.
            form: its fields.
            client: id and secret of the client, if it has one.

        Raises:
            IdentityProviderAwayError: as for `get`; its `status` is that of the answer.
        """
        return self._asked("POST", url, form=form, client=client)

    def _asked(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        client: tuple[str, str] | None = None,
    ) -> Any:
        if not url.startswith("https://"):
            raise away(url, "no https URL")
        ends = time.monotonic() + SECONDS_MAX
        try:
            with (
                httpx2.Client(
                    verify=self._context,
                    timeout=_PART_SECONDS_MAX,
                    follow_redirects=False,
                    trust_env=False,
                    headers={"accept": "application/json", "accept-encoding": "identity"},
                    auth=client,
                ) as http,
                http.stream(method, url, data=None if form is None else dict(form)) as answer,
            ):
                body = bytearray()
                if answer.status_code == 200:
                    for part in answer.iter_raw(16 * 1024):
                        body += part
                        if len(body) > BYTES_MAX:
                            raise away(url, f"more than {BYTES_MAX} bytes")
                        if time.monotonic() > ends:
                            raise away(url, f"more than {SECONDS_MAX:.0f} s")
                status, encoding = answer.status_code, answer.headers.get("content-encoding")
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise away(url, type(error).__name__) from error
        if status != 200 or encoding is not None:
            raise away(url, f"answer {status}" if status != 200 else "a compressed answer", status)
        try:
            return parse_json(bytes(body), bytes_max=BYTES_MAX)
        except JsonRefusedError as error:
            raise away(url, "no JSON") from error


def away(url: str, why: str, status: int = 0) -> IdentityProviderAwayError:
    """The refusal of who needs a document that cannot be had."""
    host = url.split("/")[2] if url.count("/") > 1 else "?"
    return IdentityProviderAwayError(
        f"the identity provider cannot be asked ({host[:100]}): {why}", status=str(status)
    )
