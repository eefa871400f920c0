"""Checks before routing (path, query, body size), and headers of every reply.

Pure ASGI middleware, so that bodies stream through it.
"""

from collections.abc import Sequence
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from host.ports.live import Live
from host.rest.errors import http_refusal

_CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
"""Swagger UI sets styles inline and has icons in data URLs; all other sources are our own."""

PATH_CHARACTERS_MAX = 2048
QUERY_BYTES_MAX = 16 * 1024

_REPLY_HEADERS: Sequence[tuple[str, str]] = (
    ("Cache-Control", "no-cache"),
    ("Content-Security-Policy", _CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)


class BodyLimit:
    """Refuses a body whose declared or actual length exceeds `bytes_max`."""

    def __init__(self, app: ASGIApp, *, bytes_max: Live[int]) -> None:
        self._app = app
        self._bytes_max = bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > self._bytes_max.get():
            response = await http_refusal(Request(scope), self._too_long(int(declared)))
            await response(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._bytes_max.get():
                raise self._too_long(seen)
            return message

        await self._app(scope, counted, send)

    def _too_long(self, length: int) -> HTTPException:
        return HTTPException(
            400,
            f"Content length is {length} which exceeds the maximum limit of"
            f" {self._bytes_max.get()}.",
            {"Connection": "close"},
        )


class NoTrailingSlash:
    """Removes one slash from the end of a path: Corda's server accepts both spellings."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path.endswith("/") and path.count("/") > 1:
            # Not for `//`: only one more spelling is accepted.
            raw = scope.get("raw_path") or path.encode()
            scope = {**scope, "path": path[:-1], "raw_path": raw.removesuffix(b"/")}
        await self._app(scope, receive, send)


class TargetRules:
    """Refuses paths and queries that are too long or have invisible characters.

    Permissions are regular expressions over them, whose time grows faster than the length.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = _refused_target(scope) if scope["type"] == "http" else None
        if refused is None:
            await self._app(scope, receive, send)
            return
        response = await http_refusal(Request(scope), refused)
        await response(scope, receive, send)


def _refused_target(scope: Scope) -> HTTPException | None:
    path, query = scope["path"], scope.get("query_string", b"")
    if len(path) > PATH_CHARACTERS_MAX or len(query) > QUERY_BYTES_MAX:
        return HTTPException(
            HTTPStatus.REQUEST_URI_TOO_LONG,
            f"Path and query may have {PATH_CHARACTERS_MAX} and {QUERY_BYTES_MAX} characters,"
            f" they have {len(path)} and {len(query)}.",
        )
    if not path.isprintable():
        found = next(character for character in path if not character.isprintable())
        return HTTPException(
            HTTPStatus.BAD_REQUEST, f"The path has the unprintable character U+{ord(found):04X}."
        )
    return None


class ReplyHeaders:
    """Adds the headers of every reply."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _REPLY_HEADERS:
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)
