"""A REST client of a running host for commands: bounded, with an error for each refusal."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from host.domain.errors import (
    ConflictError,
    ForbiddenError,
    HostError,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
)
from host.domain.json import JsonValue
from host.tools.client.answers import PageCursors, parsed
from host.tools.client.cluster_facts import ClusterAnswerError
from host.tools.client.host_connection import UnauthorizedError, no_answer, trusting

PREFIX = "/api/v5_2"
NEXT_HEADER = "Cordbox-Next"
"""Header of a page that is not the last of its list: the cursor of the next page."""
REPLY_BYTES_MAX = 64 * 1024 * 1024
_SECONDS_MAX = 30.0
_CODE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


class HostRefusedError(InvalidInputError):
    """The host refuses a request; the message is the host's reason."""

    code = "host-refused"


class HostConflictError(ConflictError):
    """The object exists already or is in another state; the message is the host's reason."""

    code = "host-conflict"


class HostClient:
    """A client of one host. Not thread-safe.

    Args:
        url: scheme, host and port.
        user: login name.
        password: of that user.
        ca_file: PEM certificate to trust instead of the system's.
    """

    def __init__(self, url: str, *, user: str, password: str, ca_file: Path | None) -> None:
        self.url = url.rstrip("/")
        self._client = httpx2.Client(
            auth=(user, password), verify=trusting(ca_file), timeout=_SECONDS_MAX
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def get(self, path: str, **query: str | int) -> Any:
        """The JSON value that `path` below `/api/v5_2` answers.

        Raises:
            UnavailableError: the host does not respond, or is not ready.
            CertificateUntrustedError: its certificate is not trusted.
            UnauthorizedError: unknown user or wrong password.
            ForbiddenError: the user may not do this.
            NotFoundError, HostConflictError, HostRefusedError: it refuses the request.
            ClusterAnswerError: its answer is not one of a host.
        """
        return self._json(path, self.ask("GET", path, params=query))

    def items(self, path: str, member: str, **query: str | int) -> Iterator[dict[str, Any]]:
        """The objects of a list, page by page; raises the errors of `get`."""
        for answer in self._pages(path, query):
            items = answer.get(member) if isinstance(answer, dict) else None
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise ClusterAnswerError(f"{self.url}{path} answers no list {member!r} of objects")
            yield from items

    def texts(self, path: str, **query: str | int) -> Iterator[str]:
        """The texts of a list of nothing else, page by page; raises the errors of `get`."""
        for answer in self._pages(path, query):
            if not isinstance(answer, list) or not all(isinstance(item, str) for item in answer):
                raise ClusterAnswerError(f"{self.url}{path} answers no list of texts")
            yield from answer

    def _pages(self, path: str, query: Mapping[str, str | int]) -> Iterator[Any]:
        """The JSON value of each page of a list."""
        cursor: str | None = None
        pages = PageCursors(f"{self.url}{path}")
        while True:
            asked = query if cursor is None else {**query, "after": cursor}
            data, cursor = self._exchange("GET", path, params=asked)
            yield self._json(path, data)
            pages.check(cursor)
            if cursor is None:
                return

    def lines(self, path: str, **query: str | int) -> Iterator[bytes]:
        """The lines of a list of texts, page by page, as they arrive; raises the errors of `get`.

        A line has at most `REPLY_BYTES_MAX` bytes; memory holds one.
        """
        cursor: str | None = None
        pages = PageCursors(f"{self.url}{path}")
        while True:
            asked = query if cursor is None else {**query, "after": cursor}
            url = f"{self.url}{PREFIX}{path}"
            try:
                with self._client.stream("GET", url, params=asked) as reply:
                    if not reply.is_success:
                        raise _refusal(url, reply.status_code, _whole(url, reply.iter_bytes()))
                    yield from _lines(url, reply.iter_bytes())
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                raise no_answer(self.url, error) from error
            cursor = reply.headers.get(NEXT_HEADER)
            pages.check(cursor)
            if cursor is None:
                return

    def post(self, path: str, body: JsonValue = None, **query: str | int) -> Any:
        """Post JSON and return the JSON answer; raises the errors of `get`."""
        return self._json(path, self.send("POST", path, body, **query))

    def put(self, path: str, body: JsonValue, **query: str | int) -> Any:
        """Put JSON and return the JSON answer, None if there is none; raises as `get`."""
        data = self.send("PUT", path, body, **query)
        return self._json(path, data) if data else None

    def send(self, method: str, path: str, body: JsonValue = None, **query: str | int) -> bytes:
        """Send JSON and return the body of the answer; raises the errors of `get`."""
        content = None if body is None else json.dumps(body, allow_nan=False).encode()
        headers = {"Content-Type": "application/json"} if content else {}
        return self.ask(method, path, params=query, content=content, headers=headers)

    def upload(
        self,
        method: str,
        path: str,
        files: Mapping[str, tuple[str, bytes]],
        fields: Mapping[str, str] | None = None,
    ) -> Any:
        """Send a form with files (form field to file name and content); raises as `get`."""
        data = self.ask(method, path, files=dict(files), data=dict(fields or {}))
        return self._json(path, data) if data else None

    def ask(self, method: str, path: str, **options: Any) -> bytes:
        """The body of the answer to one request; raises the errors of `get`."""
        return self._exchange(method, path, **options)[0]

    def _exchange(self, method: str, path: str, **options: Any) -> tuple[bytes, str | None]:
        """Body of an answer, and the cursor of the next page if there is one."""
        url = f"{self.url}{PREFIX}{path}"
        try:
            with self._client.stream(method, url, **options) as reply:
                body = _whole(url, reply.iter_bytes())
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise no_answer(self.url, error) from error
        if not reply.is_success:
            raise _refusal(url, reply.status_code, body)
        return body, reply.headers.get(NEXT_HEADER)

    def _json(self, path: str, data: bytes) -> Any:
        return parsed(data, f"{self.url}{path}")


def _whole(url: str, chunks: Iterable[bytes]) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > REPLY_BYTES_MAX:
            raise ClusterAnswerError(f"{url} answers more than {REPLY_BYTES_MAX} bytes")
    return bytes(body)


def _lines(url: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            yield b"".join((*held, part))
            held, size = [], 0
        held.append(rest)
        size += len(rest)
        if size > REPLY_BYTES_MAX:
            raise ClusterAnswerError(f"{url} answers a line of more than {REPLY_BYTES_MAX} bytes")
    if size:
        raise ClusterAnswerError(f"{url} answers a last line without an end")


def _refusal(url: str, status: int, body: bytes) -> HostError:
    """The error of an answer, with the code and the facts that the host gives."""
    title, facts = _answered(body)
    code = facts.pop("code", None)
    if code is not None and not _CODE.fullmatch(code):
        code = None
    unsaid = f"{url} answers with status {status}"
    if status == HTTPStatus.BAD_REQUEST and url.startswith("http:"):  # as servers of HTTPS answer
        unsaid += ": if the host serves HTTPS, as it does by default, write https://"
    reason = facts.pop("reason", None) or title or unsaid
    facts.pop("cause", None)
    error = _error(url, status, reason, is_coded=code is not None)
    error.answered_code, error.details = code, facts
    return error


def _error(url: str, status: int, reason: str, *, is_coded: bool) -> HostError:
    match status:
        case httpx2.codes.UNAUTHORIZED:
            return UnauthorizedError(f"{url} does not accept user and password: {reason}")
        case httpx2.codes.FORBIDDEN:
            return ForbiddenError(f"{url} refuses the user: {reason}")
        case httpx2.codes.NOT_FOUND:
            return NotFoundError(reason, kind="object", named=url)
        case httpx2.codes.CONFLICT:
            return HostConflictError(reason)
        case httpx2.codes.SERVICE_UNAVAILABLE | httpx2.codes.TOO_MANY_REQUESTS:
            # With a code, the reason is the host's own: a node's quota, for example.
            return UnavailableError(reason if is_coded else f"host {url} is not ready: {reason}")
        case _:
            return HostRefusedError(reason)


def _answered(body: bytes) -> tuple[str, dict[str, str]]:
    """Title and details of an error in Corda's format; empty for other formats."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return "", {}
    if not isinstance(answer, dict):
        return "", {}
    title, details = answer.get("title"), answer.get("details")
    facts = details.items() if isinstance(details, dict) else ()
    return str(title or ""), {str(name): str(value) for name, value in facts}
