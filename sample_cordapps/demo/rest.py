"""A REST client that prints each request as the curl line a person would type."""

import json
import shlex
import ssl
import time
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

import httpx2

from sample_cordapps.demo.console import DemoConsole, StepFailedError

_POLL_SHARE = 0.2
_POLL_SECONDS_LEAST, _POLL_SECONDS_MOST = 0.03, 0.25
"""A poll waits for a fifth of the time that it has waited: twice as many cost the REST worker two
thirds of the processor time of the flows that were waited for."""
_POLL_SECONDS_MAX = 180
_ADMIN_USER = "admin"


class RestClient:
    """Basic authentication over TLS that trusts the host's own certificate and no other."""

    def __init__(
        self, console: DemoConsole, *, url: str, certificate: Path, password_file: Path
    ) -> None:
        self.console = console
        self._base = f"{url.rstrip('/')}/api/v5_2"
        self._certificate = certificate
        self._password_file = password_file
        self._client = httpx2.Client(
            verify=ssl.create_default_context(cafile=str(certificate)),
            auth=(_ADMIN_USER, password_file.read_text(encoding="utf-8").strip()),
            timeout=_POLL_SECONDS_MAX,
        )

        self._announce()

    def on(self, console: DemoConsole) -> "RestClient":
        """The same client, that prints elsewhere."""
        other = copy(self)
        other.console = console
        return other

    def move_to(self, url: str) -> None:
        """Talk to the host at another address from now on."""
        self._base = f"{url.rstrip('/')}/api/v5_2"
        self.console.shell_line(f"API={self._base}")

    def _announce(self) -> None:
        """Print the shell variables that make the requests below work when typed."""
        self.console.shell_line(f"API={self._base}")
        login = f"-u admin:$(cat {shlex.quote(str(self._password_file))})"
        trust = f"--cacert {shlex.quote(str(self._certificate))}"
        self.console.shell_line(f'corda() {{ curl -sS {trust} {login} "$@"; }}')

    def close(self) -> None:
        self._client.close()

    def get(self, path: str, *, show: bool = True, expect: int | None = 200) -> Any:
        if show:
            self._line("GET", path)
        return self._done(self._sent("GET", path), show=show, expect=expect)

    def post(self, path: str, body: object, *, show: bool = True, expect: int = 200) -> Any:
        if show:
            self._line("POST", path, "-H", "Content-Type: application/json", "-d", json.dumps(body))
        return self._done(self._sent("POST", path, json=body), show=show, expect=expect)

    def status(self, method: str, path: str, body: object = None) -> int:
        """The status that a request is answered with, unseen; 0 if there is no answer."""
        try:
            return self._client.request(method, self._base + path, json=body).status_code
        except httpx2.HTTPError:
            return 0

    def upload(
        self, method: str, path: str, *, files: dict[str, Path], fields: dict[str, str], expect: int
    ) -> Any:
        """Send a multipart form with files and text fields."""
        words = [w for name, value in fields.items() for w in ("-F", f"{name}={value}")]
        words += [w for name, file in files.items() for w in ("-F", f"{name}=@{file}")]
        self._line(method, path, *words)
        parts = {name: (file.name, file.read_bytes()) for name, file in files.items()}
        answer = self._sent(method, path, files=parts, data=fields)
        return self._done(answer, show=True, expect=expect)

    def poll(self, path: str, until: Callable[[Any], bool], *, what: str, show: bool = True) -> Any:
        """GET `path` until `until(answer)` holds; shows the request once and the last answer.

        Raises:
            StepFailedError: it did not come to hold in time.
        """
        if show:
            self._line("GET", path)
        begun = time.monotonic()
        while (waited := time.monotonic() - begun) < _POLL_SECONDS_MAX:
            answer = self.get(path, show=False, expect=None)
            if until(answer):
                if show:
                    self.console.answer(_text(answer))
                return answer
            time.sleep(min(max(_POLL_SHARE * waited, _POLL_SECONDS_LEAST), _POLL_SECONDS_MOST))
        raise StepFailedError(f"{what} did not come in {_POLL_SECONDS_MAX} s")

    def _sent(self, method: str, path: str, **parts: Any) -> httpx2.Response:
        try:
            return self._client.request(method, self._base + path, **parts)
        except httpx2.HTTPError as failed:
            raise StepFailedError(f"{method} {path}: {failed!r}") from failed

    def _done(self, answer: httpx2.Response, *, show: bool, expect: int | None) -> Any:
        value: Any
        try:
            value = answer.json() if answer.content else None
        except ValueError:
            value = answer.text
        if show:
            self.console.answer(f"{answer.status_code} {_text(value)}")
        if expect is not None and answer.status_code != expect:
            raise StepFailedError(
                f"{answer.request.method} {answer.request.url}: "
                f"{answer.status_code}, expected {expect}: {_text(value)}"
            )
        return value

    def _line(self, method: str, path: str, *words: str) -> None:
        verb = "" if method == "GET" else f" -X {method}"
        tail = f" {shlex.join(words)}" if words else ""
        address = f'"$API{path}"' if "?" in path else f"$API{path}"
        self.console.shell_line(f"corda{verb} {address}{tail}")


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
