"""Errors as HTTP answers: one table of error classes, and Corda's JSON form of an error.

Shape: `{"title": text, "status": number, "details": {"cause", "reason", "code", ...}}`; plain text
when the client accepts no JSON.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from cpi.errors import CpiError
from host.access import NotAuthenticatedError, SignInDelayedError
from host.access.errors import ExternalUserRefusedError
from host.domain.accounts import QuotaExceededError
from host.domain.error_codes import routing
from host.domain.errors import (
    ConflictError,
    DatabaseAwayError,
    DiskFullError,
    ForbiddenError,
    HostError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    OutageError,
    StorageError,
    UnavailableError,
)
from host.domain.refused import CHARACTERS_MAX, cut
from host.domain.shortages import is_disk_full, is_shortage
from host.ports.identity import TokenRefusedError

_log = structlog.get_logger("cordbox.rest")

STATUS_OF: Mapping[type[Exception], HTTPStatus] = {
    NotAuthenticatedError: HTTPStatus.UNAUTHORIZED,
    TokenRefusedError: HTTPStatus.UNAUTHORIZED,
    InvalidInputError: HTTPStatus.BAD_REQUEST,
    CpiError: HTTPStatus.BAD_REQUEST,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    NotFoundError: HTTPStatus.NOT_FOUND,
    NotAllowedError: HTTPStatus.METHOD_NOT_ALLOWED,
    ConflictError: HTTPStatus.CONFLICT,
    SignInDelayedError: HTTPStatus.TOO_MANY_REQUESTS,
    QuotaExceededError: HTTPStatus.INSUFFICIENT_STORAGE,
    UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    DatabaseAwayError: HTTPStatus.SERVICE_UNAVAILABLE,
    StorageError: HTTPStatus.INTERNAL_SERVER_ERROR,
    HostError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""HTTP status of an error class and of its subclasses, the nearest class first."""

_AUTHENTICATE = {"WWW-Authenticate": 'Basic realm="Cordbox REST", charset="UTF-8"'}
_BEARER = {"WWW-Authenticate": 'Bearer realm="Cordbox REST", error="invalid_token"'}
_UNEXPECTED = "Unexpected error occurred."
_PATH_CHARACTERS_MAX = 255
_ROUTING_CODES = {status: code for code, (status, _, _) in routing.REST.items()}

DOCUMENTED: dict[int | str, dict[str, object]] = {
    400: {"description": "The request is malformed, or names something unusable."},
    401: {"description": "Unauthorized."},
    403: {"description": "Forbidden."},
    404: {"description": "The named thing does not exist."},
    405: {"description": "The operation is switched off."},
    409: {"description": "The thing exists already."},
    414: {"description": "Path or query is too long."},
    429: {"description": "Wrong passwords before make this one wait."},
    500: {"description": "The host failed; its log says why."},
    503: {"description": "A part of the host is not ready; try again."},
    507: {"description": "A quota of the virtual node is used up."},
}
"""Error responses that every operation documents."""


_ERROR_SCHEMA: Mapping[str, object] = {
    "title": "ErrorResponse",
    "type": "object",
    "required": ["title", "status", "details"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "details": {
            "type": "object",
            "required": ["cause", "reason", "code"],
            "properties": {
                "cause": {"type": "string", "description": "Class of the error."},
                "reason": {"type": "string"},
                "code": {"type": "string", "description": "Stable code of the error."},
            },
            "additionalProperties": {"type": "string"},
        },
    },
}
_FRAMEWORK_SCHEMAS = ("HTTPValidationError", "ValidationError")


def document_errors(document: dict[str, Any]) -> None:
    """Replace the framework's errors in an OpenAPI document by those that the host returns."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _FRAMEWORK_SCHEMAS:
        schemas.pop(name, None)
    schemas["ErrorResponse"] = dict(_ERROR_SCHEMA)
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}}
    for methods in document["paths"].values():
        for operation in methods.values():
            operation["responses"].pop("422", None)
            for status, response in operation["responses"].items():
                if status >= "400":
                    response["content"] = content


def answer_of(error: Exception) -> tuple[HTTPStatus, str]:
    """Status and code of the answer to a request that ends with `error`."""
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        return status, _ROUTING_CODES.get(status, "request-invalid")
    if isinstance(error, RequestValidationError):
        return HTTPStatus.BAD_REQUEST, "request-invalid"
    error = shortage_of(error) or error
    known = next((STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF), None)
    if known is None:
        return HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error"
    return known, _code_of(error)


def shortage_of(error: Exception) -> HostError | None:
    """The refusal of a request that met a machine without disk, descriptors, memory or threads.

    None if the error is another one. A platform library raises such failures as its own classes,
    wherever it opens, starts or allocates something.
    """
    if isinstance(error, HostError) or not is_shortage(error):
        return None
    if is_disk_full(error):
        return DiskFullError("the disk is full")
    return OutageError("the host's machine is short of descriptors, memory or threads; try again")


async def refusal(request: Request, error: Exception) -> Response:
    """Answer a refusal of the host by the table above."""
    status = next(STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF)
    message = str(getattr(error, "message", error))
    code, more = _code_of(error), dict(getattr(error, "details", {}))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("request-failed", code=code, reason=message)
        message = error.public_message if isinstance(error, HostError) else message
        more.pop("path", None)
    details = {"cause": type(error).__name__, "reason": message, "code": code, **more}
    headers: Mapping[str, str] = _AUTHENTICATE if status is HTTPStatus.UNAUTHORIZED else {}
    if isinstance(error, TokenRefusedError | ExternalUserRefusedError):
        headers = _BEARER
    if "retryAfter" in more:
        headers = {**headers, "Retry-After": more["retryAfter"]}
    return error_response(request, status, message, details, headers)


async def invalid_request(request: Request, error: Exception) -> Response:
    """Answer a request whose body, path or query lacks a field or has one of a wrong type."""
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    fields = ", ".join(_field(problem["loc"]) for problem in problems)
    reason = "; ".join(f"{_field(p['loc'])}: {p['msg']}" for p in problems)
    details = {
        "cause": "InvalidRequestError",
        "reason": reason,
        "code": "request-invalid",
        "fields": fields,
    }
    return error_response(request, HTTPStatus.BAD_REQUEST, f"Invalid request: {reason}", details)


async def http_refusal(request: Request, error: Exception) -> Response:
    """Answer errors of routing: unknown path, wrong method, unreadable body."""
    if not isinstance(error, HTTPException):
        raise TypeError(f"not an HTTP exception: {error!r}")
    status = HTTPStatus(error.status_code)
    path = cut(request.scope["path"], _PATH_CHARACTERS_MAX)
    code = _ROUTING_CODES.get(status, "request-invalid")
    reason = {
        404: f"Path {path} does not exist.",
        405: f"Path {path} has no method {cut(request.method, CHARACTERS_MAX)}.",
    }.get(status, error.detail)
    details = {"cause": status.phrase.replace(" ", "") + "Error", "reason": reason, "code": code}
    return error_response(request, status, reason, details, error.headers or {})


async def gone(_request: Request, _error: Exception) -> Response:
    """Give an answer that nobody gets: the client has left, or its connection was ended."""
    return Response(status_code=HTTPStatus.REQUEST_TIMEOUT)


async def unexpected(request: Request, error: Exception) -> Response:
    """Answer an unexpected error without details for the client; the server logs it."""
    shortage = shortage_of(error)
    if shortage is not None:
        return await refusal(request, shortage)
    details = {"cause": "InternalServerError", "reason": _UNEXPECTED, "code": "internal-error"}
    return error_response(request, HTTPStatus.INTERNAL_SERVER_ERROR, _UNEXPECTED, details)


def error_response(
    request: Request,
    status: HTTPStatus,
    title: str,
    details: Mapping[str, str],
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The response with an error in Corda's form."""
    title = cut(title)
    accepted = request.headers.get("accept", "*/*")
    if "json" not in accepted and "*/*" not in accepted and "application/*" not in accepted:
        return PlainTextResponse(title, status, dict(headers or {}))
    content = {
        "title": title,
        "status": status.value,
        "details": {k: cut(v) for k, v in details.items()},
    }
    return JSONResponse(content, status, dict(headers or {}))


def _code_of(error: Exception) -> str:
    """The code that clients get: `not-found` for whatever kind of object is absent."""
    if isinstance(error, NotFoundError):
        return NotFoundError.code
    return str(getattr(error, "code", "error"))


def _field(location: tuple[str | int, ...]) -> str:
    """Dotted path of a field as the client wrote it, without FastAPI's own prefix."""
    return ".".join(str(part) for part in location[1:]) or str(location[0])
