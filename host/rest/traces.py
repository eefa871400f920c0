"""A span for each request to REST; only there if a plugin takes traces."""

import secrets
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from host.flow.core.trace_context import SpanContext, span_context
from host.ports.tracing import RequestSpan, Tracer
from host.rest.requester import requester_of

_HEADER = b"traceparent"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER = "other"


class RequestTraces:
    """Notes the span of each request for what it starts, and tells the tracer of it.

    Health, metrics and files of the console are left out: they start nothing, and are asked often.
    """

    def __init__(self, app: ASGIApp, *, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        given = [value for name, value in scope["headers"] if name == _HEADER]
        # Of several, none can be told to be the client's (W3C Trace Context, 3.2).
        parent = span_context(given[0].decode("latin-1")) if len(given) == 1 else None
        trace = secrets.token_hex(16) if parent is None else parent.trace
        span = SpanContext(trace, secrets.token_hex(8))
        who, begun, status = requester_of(scope), time.time_ns(), 0
        who.trace = span.header

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            method = scope["method"]
            self._tracer.request(
                RequestSpan(
                    trace=trace,
                    span=span.span,
                    parent="" if parent is None else parent.span,
                    method=method if method in _METHODS else _OTHER,
                    route=who.route or _OTHER,
                    request_id=who.request_id,
                    status=status,
                    begun=begun,
                    ended=time.time_ns(),
                )
            )
