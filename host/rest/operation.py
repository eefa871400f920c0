"""How every operation is called: authentication, authorisation and strict JSON before the handler.

Permissions are checked on the canonical form of the request, and the handler gets that form. The
body is read only after authentication, so that others cannot make the host parse JSON.
"""

import re
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from anyio import to_thread
from fastapi import APIRouter, Request, Response, params
from fastapi.routing import APIRoute

from host.access import PasswordExpiredError
from host.domain.ascii_case import ascii_lower
from host.domain.errors import ForbiddenError, InvalidInputError
from host.domain.json import JsonValue
from host.rest.acts import ActRecorder, is_act
from host.rest.authentication import authenticated, authorized
from host.rest.canonical import SAME_AS, RouteParameters, actions
from host.rest.errors import DOCUMENTED
from host.rest.form import FormParts
from host.rest.json_body import parse_json, unwrapped
from host.rest.late_route import LateRoute
from host.rest.nodes_elsewhere import refuse_elsewhere
from host.rest.on_nodes import actions_on_nodes
from host.rest.requester import requester_of
from host.rest.services import RestServices
from host.rest.wire import wire_names

OWN_CREDENTIAL = "/user/selfpassword"
"""The only operation that an expired password serves for."""
JSON_BYTES_MAX = 6 * 1024 * 1024
"""Longest JSON body, also if longer uploads are allowed; it may use ten times that in memory."""
_PARSED_AT_ONCE_BYTES_MAX = 64 * 1024
"""Longer texts are parsed on another thread, so that other requests are not delayed."""

_EXPIRES_SOON = "199 - PasswordExpiryStatus is CLOSE_TO_EXPIRY"
_NO_LETTER = re.compile("[^A-Za-z0-9]")
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class JsonTooLongError(InvalidInputError):
    """A JSON body is longer than the maximum of any operation."""

    code = "json-too-long"


class Operation(LateRoute):
    """A route that authenticates, authorises and parses JSON the way Corda does."""

    needs_permission: ClassVar[bool] = True

    def get_route_handler(self) -> _Handler:
        """FastAPI's handler of this route, wrapped in the checks."""
        handle = super().get_route_handler()
        parameters = RouteParameters(self.dependant)
        form = FormParts(self.dependant.body_params)
        same_as = (self.openapi_extra or {}).get(SAME_AS)

        async def operation(request: Request) -> Response:
            services: RestServices = request.app.state.services
            requester_of(request.scope).route = self.path_format
            act = ActRecorder(services.administrative_log, request, self.path_format)
            changes = is_act(request.method, self.path_format)
            try:
                ready, canonical = await checked(request)
            except Exception as error:
                # Of what only reads, the decisions on who may do it.
                if changes or isinstance(error, ForbiddenError):
                    act.refused(request, error)
                raise
            if not changes:
                return _warned(request, await answered(ready))
            body = ready.value if isinstance(ready, _ParsedRequest) else None
            return _warned(request, await act.done(ready, canonical, body, answered))

        async def answered(request: Request) -> Response:
            return _as_accepted(await handle(request), request)

        async def checked(request: Request) -> tuple[Request, str]:
            """The request in the form for the handler, and its canonical action."""
            state = request.app.state
            services: RestServices = state.services
            user = await authenticated(request, services.users, state.sign_in)
            requester_of(request.scope).user = user.login_name
            if self.path_format != OWN_CREDENTIAL and user.has_expired(services.clock.now_ms()):
                raise PasswordExpiredError(
                    f"The password has expired; POST {OWN_CREDENTIAL} sets another one."
                )
            call = parameters.canonical(request)
            wanted = actions(request, self.path_format, call, same_as)
            if self.needs_permission:
                authorized(user, wanted)
                others = actions_on_nodes(request, services, self.path_format, call, wanted[0])
                authorized(user, await others)
            parameters.check(call)
            await refuse_elsewhere(services, request.method, self.path_format, wanted[0])
            request.state.user = user
            ready = call.applied_to(request)
            if self._takes_form:
                await form.check(ready)
            else:
                ready = await self._with_strict_json(ready)
            return ready, wanted[0].canonical

        return operation

    @property
    def _takes_form(self) -> bool:
        return self.body_field is not None and isinstance(self.body_field.field_info, params.Form)

    async def _with_strict_json(self, request: Request) -> Request:
        field = self.body_field
        if field is None:
            return request
        body = await _json_text(request)
        if len(body) > _PARSED_AT_ONCE_BYTES_MAX:
            value = await to_thread.run_sync(parse_json, body)
        else:
            value = parse_json(body) if body else {}
        names = wire_names(field.field_info.annotation)
        if names:
            value = unwrapped(value, parameter=field.alias, fields=names)
        return _ParsedRequest(request, value)


async def _json_text(request: Request) -> bytearray:
    body = bytearray()
    async for chunk in request.stream():
        if len(body) + len(chunk) > JSON_BYTES_MAX:
            raise JsonTooLongError(f"JSON body is longer than {JSON_BYTES_MAX} bytes")
        body += chunk
    return body


class OpenOperation(Operation):
    """An operation that every authenticated user may call."""

    needs_permission: ClassVar[bool] = False


class _ParsedRequest(Request):
    """A request whose JSON body was parsed already, whatever content type the client named."""

    def __init__(self, original: Request, value: JsonValue) -> None:
        headers = [(k, v) for k, v in original.scope["headers"] if k != b"content-type"]
        scope = {**original.scope, "headers": [*headers, (b"content-type", b"application/json")]}
        super().__init__(scope, original.receive)
        self.value = value

    async def body(self) -> bytes:
        """A non-empty body: FastAPI calls `json` only then."""
        return b"{}"

    async def json(self) -> JsonValue:
        return self.value


def resource(tag: str, *, open_to_all: bool = False) -> APIRouter:
    """A router for the operations of one resource group."""
    return APIRouter(
        tags=[tag],
        route_class=OpenOperation if open_to_all else Operation,
        responses=DOCUMENTED,
        strict_content_type=False,
        generate_unique_id_function=_operation_id,
    )


def _operation_id(route: APIRoute) -> str:
    """The id that Corda gives an operation, by which client generators name their functions."""
    (method,) = route.methods or ("GET",)
    return ascii_lower(method) + _NO_LETTER.sub("_", route.path_format)


class RawText(Response):
    """A text reply as Corda sends it: not quoted, but with content type application/json.

    A client that accepts `text/plain` but not JSON gets `text/plain`.
    """

    media_type = "application/json"


def _warned(request: Request, response: Response) -> Response:
    """The answer; near the end of the caller's password, with Corda's warning."""
    services: RestServices = request.app.state.services
    days = services.password_rules.get().warning_days
    if request.state.user.expires_within(days, services.clock.now_ms()):
        response.headers["Warning"] = _EXPIRES_SOON
    return response


def _as_accepted(reply: Response, request: Request) -> Response:
    accepted = request.headers.get("accept", "*/*")
    if isinstance(reply, RawText) and "text/plain" in accepted and "json" not in accepted:
        reply.headers["content-type"] = "text/plain; charset=utf-8"
    return reply
