"""Looking at a running host from outside: health, metrics, and one log line a request."""

import time
from collections.abc import Callable

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from host.domain.errors import HostError
from host.rest.requester import requester_of

_log = structlog.get_logger("cordbox.rest")
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class RequestLog:
    """Counts, times and logs requests: who, method, path, status; nothing of their content.

    Every line that is logged on the way of a request has its id.
    """

    def __init__(self, app: ASGIApp, *, registry: CollectorRegistry) -> None:
        self._app = app
        self._requests = Counter(
            "cordbox_rest_requests",
            "REST requests by method and status.",
            ("method", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "cordbox_rest_request_seconds", "Duration of REST requests.", registry=registry
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        who = requester_of(scope)

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = who.request_id
            await send(message)

        bound = structlog.contextvars.bind_contextvars(rest_request=who.request_id)
        try:
            await self._app(scope, receive, noted)
        finally:
            structlog.contextvars.reset_contextvars(**bound)
            seconds = time.perf_counter() - started
            self._requests.labels(_known(scope["method"]), str(status)).inc()
            self._seconds.observe(seconds)
            log = _log.info if status >= 400 else _log.debug
            log(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                duration_ms=round(seconds * 1000, 1),
                user=who.user,
                address=who.address,
                rest_request=who.request_id,
            )


def health_routes(
    registry: CollectorRegistry, probe: Callable[[], object]
) -> tuple[BaseRoute, ...]:
    """`/isHealthy` and `/status` (200, or 503 when `probe` fails), `/metrics` (Prometheus)."""

    def health(_request: Request) -> Response:
        try:
            probe()
        except HostError as error:
            return JSONResponse({"status": "FAILED", "code": error.code}, 503)
        return JSONResponse({"status": "OK"})

    def metrics(_request: Request) -> Response:
        return Response(generate_latest(registry), media_type=_METRICS_TYPE)

    return (Route("/isHealthy", health), Route("/status", health), Route("/metrics", metrics))


def overview_route(look: Callable[[], object]) -> BaseRoute:
    """`/overview`: what `look` gives, as JSON: workers, queues, open flows."""

    def overview(_request: Request) -> Response:
        try:
            seen = look()
        except HostError as error:
            return JSONResponse({"status": "FAILED", "code": error.code}, 503)
        return Response(msgspec.json.encode(seen), media_type="application/json")

    return Route("/overview", overview)


def _known(method: str) -> str:
    """Methods that clients invent must not become time series."""
    return method if method in {"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"} else "other"
