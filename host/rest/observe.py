"""Health and metrics of a running host, and one log line per request."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from host.domain.errors import HostError
from host.domain.refused import cut
from host.rest.requester import requester_of

_log = structlog.get_logger("cordbox.rest")
_PATH_CHARACTERS_MAX = 512
"""Maximum length of a path in a log line, since clients choose its length."""
_OTHER = "other"
_STATUSES_SHOWN = ("200", "500", "503")
"""Series that are there before the first such request, so that rules find them."""
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class RequestLog:
    """Counts, times and logs requests: user, method, path, status; never their content.

    Every line that is logged during a request has its id.
    """

    def __init__(self, app: ASGIApp, *, registry: CollectorRegistry) -> None:
        self._app = app
        self._requests = Counter(
            "cordbox_rest_requests",
            "REST requests by method, path of the operation (`other` for all else) and status.",
            ("method", "route", "status"),
            registry=registry,
        )
        for status in _STATUSES_SHOWN:
            self._requests.labels("GET", _OTHER, status)
        self._route_seconds = Counter(
            "cordbox_rest_route_seconds",
            "Duration of REST requests by method and path of the operation, in all.",
            ("method", "route"),
            registry=registry,
        )
        self._route_seconds.labels("GET", _OTHER)
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
            method, route = _known(scope["method"]), who.route or _OTHER
            self._requests.labels(method, route, str(status)).inc()
            self._route_seconds.labels(method, route).inc(seconds)
            self._seconds.observe(seconds)
            log = _log.info if status >= 400 else _log.debug
            log(
                "request",
                method=scope["method"],
                path=cut(scope["path"], _PATH_CHARACTERS_MAX),
                status=status,
                duration_ms=round(seconds * 1000, 1),
                user=who.user,
                address=who.address,
                rest_request=who.request_id,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Problems that stop a host's work (without any, it is ready), and warnings for operators.

    `problems` are refusals by the name of the check that found them, `warnings` texts by code.
    `is_degraded`: some of its nodes cannot work. The host still counts as ready for the others.
    """

    problems: Sequence[tuple[str, HostError]]
    warnings: Mapping[str, str] = field(default_factory=dict)
    is_degraded: bool = False

    @property
    def status(self) -> str:
        """The content of `/status`."""
        if self.problems:
            return "FAILED"
        return "DEGRADED" if self.is_degraded else "OK"


def health_routes(
    registry: CollectorRegistry, readiness: Callable[[], Readiness]
) -> tuple[BaseRoute, ...]:
    """`/isHealthy` (the process works), `/status` (it can do its work), `/metrics` (Prometheus).

    A host with a full disk must not be restarted: `/isHealthy` shows only liveness, and `/status`
    answers 503 with reasons.
    """

    async def is_healthy(_request: Request) -> Response:
        return JSONResponse({"status": "OK"})

    def status(_request: Request) -> Response:
        found = readiness()
        facts: dict[str, object] = {"status": found.status}
        if found.problems:
            facts["code"] = found.problems[0][1].code
            facts["reasons"] = [
                {"check": check, "code": error.code, "message": error.public_message}
                for check, error in found.problems
            ]
        if found.warnings:
            facts["warnings"] = [
                {"code": code, "message": text} for code, text in found.warnings.items()
            ]
        return JSONResponse(facts, 503 if found.problems else 200)

    def metrics(_request: Request) -> Response:
        return Response(generate_latest(registry), media_type=_METRICS_TYPE)

    return (
        Route("/isHealthy", is_healthy),
        Route("/status", status),
        Route("/metrics", metrics),
    )


def overview_route(look: Callable[[], object]) -> BaseRoute:
    """`/overview`: the result of `look` as JSON: workers, queues, open flows."""

    def overview(_request: Request) -> Response:
        try:
            seen = look()
        except HostError as error:
            return JSONResponse({"status": "FAILED", "code": error.code}, 503)
        return Response(msgspec.json.encode(seen), media_type="application/json")

    return Route("/overview", overview)


def _known(method: str) -> str:
    """Methods that clients invent must not create new time series."""
    return method if method in {"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"} else "other"
