"""The ASGI application: every version of the API, its documents, and the rules for all requests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount

from cpi.errors import CpiError
from host.domain.errors import HostError
from host.ports.live import Live
from host.ports.tracing import Tracer
from host.rest import (
    administrative_log,
    attention,
    certificate,
    config,
    cpi,
    dead_letter,
    flow,
    flow_glances,
    flow_history,
    group,
    group_location,
    hello,
    key,
    key_rotation,
    ledger,
    location,
    members,
    membership,
    mgm,
    mgm_admission,
    network,
    node_api,
    node_database,
    node_glances,
    package_audit,
    permission,
    protocol_version,
    quota,
    role,
    search,
    upgrades,
    user,
    user_property,
    vault,
    virtual_node,
)
from host.rest.errors import (
    document_errors,
    gone,
    http_refusal,
    invalid_request,
    refusal,
    unexpected,
)
from host.rest.gate import BASE as API_BASE
from host.rest.gate import Gate
from host.rest.letter_case import path_in_right_case, templates_of
from host.rest.limits import BodyLimit, NoTrailingSlash, ReplyHeaders, TargetRules
from host.rest.node_turns import NodeTurns
from host.rest.observe import Readiness, RequestLog, health_routes
from host.rest.services import RestServices
from host.rest.sign_in import SignIn
from host.rest.swagger_ui import swagger_ui_routes
from host.rest.traces import RequestTraces
from host.rest.versions import VERSIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """A router and the first and last version that have it."""

    router: APIRouter
    first: str = VERSIONS[0]
    last: str = VERSIONS[-1]


_GROUPS = (
    # Before the resources: `getprotocolversion` must not be parsed as a short hash.
    _Group(router=protocol_version.router, last="v5_2"),
    _Group(router=administrative_log.router),
    _Group(router=attention.router),
    _Group(router=certificate.router),
    _Group(router=key.certificate_router),
    _Group(router=config.router),
    _Group(router=cpi.router),
    _Group(router=cpi.maintenance_router),
    _Group(router=package_audit.router),
    _Group(router=flow.class_router),
    _Group(router=flow_glances.router),
    _Group(router=flow.router),
    _Group(router=flow_history.router),
    _Group(router=dead_letter.router),
    _Group(router=hello.router),
    _Group(router=key.hsm_router),
    _Group(router=key.router),
    _Group(router=key_rotation.router, first="v5_2"),
    _Group(router=ledger.router),
    _Group(router=vault.router),
    _Group(router=members.router),
    _Group(router=membership.router),
    _Group(router=mgm.router),
    _Group(router=mgm_admission.router),
    _Group(router=mgm.admin_router),
    _Group(router=network.router),
    _Group(router=permission.router),
    _Group(router=role.router),
    _Group(router=search.router),
    _Group(router=group.router, first="v5_3"),
    _Group(router=group.user_router, first="v5_3"),
    _Group(router=user.password_router, first="v5_2"),
    # Before the users: `findbyproperty` must not be parsed as a login name.
    _Group(router=user_property.router, first="v5_3"),
    _Group(router=user.router),
    _Group(router=quota.router),
    _Group(router=node_glances.router),
    _Group(router=upgrades.router),
    _Group(router=virtual_node.router),
    _Group(router=node_database.router, first="v5_2"),
    _Group(router=virtual_node.maintenance_router),
    _Group(router=location.router),
    _Group(router=group_location.router),
)


def create_app(
    services: RestServices,
    *,
    sign_in: SignIn,
    max_content_length: Live[int],
    answer_bytes_per_second: Live[int],
    registry: CollectorRegistry,
    exposed: CollectorRegistry,
    readiness: Callable[[], Readiness],
    extra_routes: Sequence[BaseRoute] = (),
    gate: Gate | None = None,
    tracer: Tracer | None = None,
) -> Starlette:
    """Build the application.

    Args:
        services: the services that the resources call.
        sign_in: authenticates callers.
        max_content_length: longest request body in bytes.
        answer_bytes_per_second: bytes of the answers of one virtual node in a second.
        registry: for the metrics of REST.
        exposed: the registry that `/metrics` shows.
        readiness: checks whether the host can do its work.
        extra_routes: routes outside `/api`, such as those of plugins.
        gate: for calls of the newest version of the API within the process.
        tracer: takes the spans of requests.
    """
    ui = swagger_ui_routes()
    nodes = _base_app("nodes", services)
    nodes.include_router(node_api.router)
    apps = {f"/api/{v}": _version_app(v, services, ui) for v in VERSIONS} | {node_api.PREFIX: nodes}
    for mounted in apps.values():
        mounted.state.sign_in = sign_in
        mounted.state.takes_tokens = sign_in.takes_tokens
    if gate is not None:
        gate.open(apps[API_BASE])
    mounts = [Mount(path, mounted) for path, mounted in apps.items()]
    app = Starlette(
        routes=[*mounts, *health_routes(exposed, readiness), *extra_routes],
        middleware=[
            *([] if tracer is None else [Middleware(RequestTraces, tracer=tracer)]),
            Middleware(RequestLog, registry=registry),
            Middleware(ReplyHeaders),
            Middleware(TargetRules),
            Middleware(NodeTurns, answer_bytes_per_second=answer_bytes_per_second),
            Middleware(NoTrailingSlash),
            Middleware(BodyLimit, bytes_max=max_content_length),
        ],
        exception_handlers={
            HTTPException: http_refusal,
            ClientDisconnect: gone,
            Exception: unexpected,
        },
    )
    app.router.redirect_slashes = False
    return app


def openapi_document(version: str) -> dict[str, Any]:
    """The OpenAPI document that `/api/<version>/swagger.json` answers, without a host behind it."""
    return _document(_version_app(version, None, []))


def _version_app(version: str, services: RestServices | None, ui: list[BaseRoute]) -> FastAPI:
    app = _base_app(version, services)
    number = VERSIONS.index(version)
    for each in _GROUPS:
        if VERSIONS.index(each.first) <= number <= VERSIONS.index(each.last):
            # Routes are the same objects in each version: making one takes a millisecond.
            app.router.routes.extend(each.router.routes)
    app.router.routes.extend(ui)
    return app


def _base_app(version: str, services: RestServices | None) -> FastAPI:
    app = FastAPI(
        title="Cordbox REST API",
        description="Corda 5's REST API over sandboxed virtual nodes.",
        version=version,
        openapi_url="/swagger.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={
            HTTPException: _http_refusal,
            RequestValidationError: invalid_request,
            HostError: refusal,
            CpiError: refusal,
            ClientDisconnect: gone,
            Exception: unexpected,
        },
    )
    app.state.services = services
    app.openapi = partial(_document, app)  # type: ignore[method-assign]
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    """FastAPI's document with the authentication that `Operation` does for every route."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            servers=[{"url": f"/api/{app.version}"}] if app.version in VERSIONS else None,
        )
        document_errors(document)
        schemes = {"basicAuth": {"type": "http", "scheme": "basic"}}
        if getattr(app.state, "takes_tokens", False):
            schemes["bearerAuth"] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
        document.setdefault("components", {})["securitySchemes"] = schemes
        document["security"] = [{name: []} for name in schemes]
        app.openapi_schema = document
    return app.openapi_schema


async def _http_refusal(request: Request, error: Exception) -> Response:
    """Answer 404 and 405: redirect paths in the wrong letter case, list allowed methods."""
    if isinstance(error, HTTPException):
        base = request.scope["root_path"]
        known = request.app.openapi()["paths"]
        path = request.url.path.removeprefix(base)
        if error.status_code == HTTPStatus.NOT_FOUND:
            right = path_in_right_case(path, known)
            if right is not None:
                query = f"?{request.url.query}" if request.url.query else ""
                return RedirectResponse(f"{base}{right}{query}", HTTPStatus.MOVED_PERMANENTLY)
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            # Routing lists only the methods of the first matching route.
            methods = sorted(m.upper() for t in templates_of(path, known) for m in known[t])
            error.headers = {**(error.headers or {}), "Allow": ", ".join(dict.fromkeys(methods))}
    return await http_refusal(request, error)
