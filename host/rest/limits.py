"""What every request meets before it is routed: path, query, body size; and what every reply says.

Pure ASGI middleware, so that bodies stream through it.
"""

from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from host.rest.errors import http_refusal

_CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
"""Swagger UI sets styles inline and keeps its icons in data URLs; everything else is our own."""

_REPLY_HEADERS: Sequence[tuple[str, str]] = (
    ("Cache-Control", "no-cache"),
    ("Content-Security-Policy", _CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)


class BodyLimit:
    """Refuses a body that is, or turns out to be, longer than `bytes_max`."""

    def __init__(self, app: ASGIApp, *, bytes_max: int) -> None:
        self._app = app
        self._bytes_max = bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > self._bytes_max:
            response = await http_refusal(Request(scope), self._too_long(int(declared)))
            await response(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._bytes_max:
                raise self._too_long(seen)
            return message

        await self._app(scope, counted, send)

    def _too_long(self, length: int) -> HTTPException:
        return HTTPException(
            400,
            f"Content length is {length} which exceeds the maximum limit of {self._bytes_max}.",
            {"Connection": "close"},
        )


class NoTrailingSlash:
    """Takes one slash off the end of a path: Corda's server serves both spellings."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path.endswith("/") and path.count("/") > 1:
            # Stays away from `//`: one spelling more is enough.
            raw = scope.get("raw_path") or path.encode()
            scope = {**scope, "path": path[:-1], "raw_path": raw.removesuffix(b"/")}
        await self._app(scope, receive, send)


class LowerCaseQuery:
    """Makes query keys case-insensitive, as Corda's are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = scope.get("query_string", b"")
        if query and query != query.lower():
            pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
            lowered = urlencode([(key.lower(), value) for key, value in pairs])
            scope = {**scope, "query_string": lowered.encode()}
        await self._app(scope, receive, send)


class ReplyHeaders:
    """Adds the headers that every reply carries."""

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
