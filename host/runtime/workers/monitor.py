"""`/isHealthy`, `/status` and `/metrics` of one process over HTTP, as Corda's workers have them.

The same limits on connections and requests apply as at the REST interface.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import structlog
from prometheus_client import generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from host.adapters.http.admission import Seats
from host.adapters.os.descriptors import descriptor_limit
from host.rest.listener import bind
from host.rest.server import Door, serving_plainly
from host.runtime.workers.report import Reporter

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_CONNECTIONS_MAX = 64
_THREADS = 2
_STOP_SECONDS_MAX = 2
_log = structlog.get_logger("cordbox.monitor")


@contextmanager
def monitored(address: str, routes: Sequence[BaseRoute]) -> Iterator[str]:
    """Serve `routes` at `address` for the duration of the block; yields it with its real port.

    The log line `monitor-listening` has the address: port 0 takes a free one.

    Raises:
        ListenRefusedError: the address cannot be used.
    """
    host, _, port = address.rpartition(":")
    listener = bind(host.strip("[]"), int(port))
    bound = listener.getsockname()[1]
    door = Door(
        seats=Seats.within(
            descriptor_limit(), total_max=_CONNECTIONS_MAX, address_max=_CONNECTIONS_MAX
        )
    )
    with serving_plainly(
        Starlette(routes=routes, exception_handlers={404: _missing}),
        listener=listener,
        door=door,
        threads=_THREADS,
        stop_seconds_max=_STOP_SECONDS_MAX,
    ):
        _log.info("monitor-listening", address=f"{host}:{bound}")
        yield f"{host}:{bound}"


def worker_routes(reporter: Reporter) -> Sequence[BaseRoute]:
    """What a worker answers about itself alone."""

    async def is_healthy(_request: Request) -> Response:
        return JSONResponse({"status": "OK"})

    def status(_request: Request) -> Response:
        report = reporter.report()
        if report.state == "ready":
            return JSONResponse({"status": "OK"})
        facts = {"status": "FAILED", "state": report.state, "code": report.problem}
        return JSONResponse({k: v for k, v in facts.items() if v is not None}, 503)

    def metrics(_request: Request) -> Response:
        return Response(generate_latest(reporter.registry), media_type=_METRICS_TYPE)

    return (
        Route("/isHealthy", is_healthy),
        Route("/status", status),
        Route("/metrics", metrics),
    )


async def _missing(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"status": "NOT_FOUND"}, 404)
