"""Requests of the interfaces that the flow engine implements (docs/reference/host-api.md)."""

from typing import Annotated, Literal, TypeAlias, TypeVar, cast

import msgspec
from msgspec import Meta, Struct

from host.domain.capability_error import CapabilityError
from host.domain.guest_text import GuestTextError, checked_json
from host.domain.json import JsonObject
from host.ports.programs import SYSTEM_PROTOCOL
from host.ports.requests import INVALID_REQUEST
from sandbox.host_api import size

SESSIONS_MAX = size("sessions.send", "messages")
"""Sessions named in one call, and sessions of one flow."""

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=1024)]
Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=size("flow.context", "key"))]
Ids: TypeAlias = Annotated[tuple[Name, ...], Meta(max_length=SESSIONS_MAX)]
Version: TypeAlias = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Versions: TypeAlias = Annotated[
    tuple[Version, ...], Meta(max_length=size("flow.sub-flow", "versions"))
]
Timeout: TypeAlias = Annotated[int, Meta(ge=1000, le=size("sessions.open", "timeoutMillis"))]
Text: TypeAlias = Annotated[str, Meta(max_length=size("log.write", "message"))]
_T = TypeVar("_T")


class LogWrite(Struct, forbid_unknown_fields=True):
    level: Literal["debug", "info", "warn", "error"]
    logger: Name
    message: Text


class Now(Struct, forbid_unknown_fields=True):
    pass


class Random(Struct, forbid_unknown_fields=True):
    bytes: Annotated[int, Meta(ge=1, le=size("flow.random", "bytes"))]


class Sleep(Struct, forbid_unknown_fields=True):
    millis: Annotated[int, Meta(ge=0, le=size("flow.sleep", "millis"))]


class ContextGet(Struct, forbid_unknown_fields=True, tag_field="op", tag="get"):
    key: Key


class ContextPut(Struct, forbid_unknown_fields=True, tag_field="op", tag="put"):
    key: Key
    value: Annotated[str, Meta(max_length=size("flow.context", "value"))]


class SubFlowEnter(Struct, forbid_unknown_fields=True, tag_field="op", tag="enter"):
    flow: Name
    protocol: Name | None = None
    versions: Versions = ()


class SubFlowLeave(Struct, forbid_unknown_fields=True, tag_field="op", tag="leave"):
    pass


class SubFlowFail(Struct, forbid_unknown_fields=True, tag_field="op", tag="fail"):
    message: Text
    code: Name | None = None


class SessionOpen(Struct, forbid_unknown_fields=True, rename="camel"):
    counterparty: Name
    require_close: bool = True
    timeout_millis: Timeout | None = None


class OutgoingMessage(Struct, forbid_unknown_fields=True):
    session: Name
    payload: msgspec.Raw


class SessionSend(Struct, forbid_unknown_fields=True):
    messages: Annotated[tuple[OutgoingMessage, ...], Meta(max_length=SESSIONS_MAX)]


class SessionReceive(Struct, forbid_unknown_fields=True):
    sessions: Ids


class SessionInfo(Struct, forbid_unknown_fields=True):
    session: Name


class SessionClose(Struct, forbid_unknown_fields=True):
    sessions: Ids


class ExternalSend(Struct, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    channel: Annotated[str, Meta(pattern=r"^[-._A-Za-z0-9]{1,128}$")]
    message_id: Name | None = None
    message: Text


_context_decoder: msgspec.json.Decoder[ContextGet | ContextPut] = msgspec.json.Decoder(
    ContextGet | ContextPut
)
_sub_flow_decoder: msgspec.json.Decoder[SubFlowEnter | SubFlowLeave | SubFlowFail] = (
    msgspec.json.Decoder(SubFlowEnter | SubFlowLeave | SubFlowFail)
)

_decoders: dict[type, object] = {}


def checked(request: str) -> JsonObject:
    """Validate a request's text and parse it to an object, before any other use.

    Raises:
        CapabilityError: `request-invalid`, naming the rule.
    """
    try:
        value = checked_json(request)
    except GuestTextError as exc:
        raise CapabilityError(INVALID_REQUEST, exc.message) from exc
    if not isinstance(value, dict):
        raise CapabilityError(INVALID_REQUEST, "the request is no JSON object")
    return value


def parse(request: str, shape: type[_T]) -> _T:
    """Read a request's JSON text, which has been `checked`.

    Raises:
        CapabilityError: `request-invalid`, naming the field.
    """
    return _decoded(request, _decoder_of(shape))


def _decoder_of(shape: type[_T]) -> msgspec.json.Decoder[_T]:
    """The cached decoder of a type."""
    found = _decoders.get(shape)
    if found is None:
        found = _decoders[shape] = msgspec.json.Decoder(shape)
    return cast("msgspec.json.Decoder[_T]", found)


def parse_context(request: str) -> ContextGet | ContextPut:
    """Read a request of `flow.context`, as `parse`."""
    return _decoded(request, _context_decoder)


def parse_sub_flow(request: str) -> SubFlowEnter | SubFlowLeave | SubFlowFail:
    """Read a request of `flow.sub-flow`, as `parse`; the platform's protocols are refused."""
    found = _decoded(request, _sub_flow_decoder)
    if isinstance(found, SubFlowEnter) and (found.protocol or "").startswith(SYSTEM_PROTOCOL):
        raise CapabilityError(
            INVALID_REQUEST, f"protocol {found.protocol} is one of the platform's own"
        )
    return found


def _decoded(request: str, decoder: msgspec.json.Decoder[_T]) -> _T:
    try:
        return decoder.decode(request)
    except Exception as exc:  # caused by the guest's text
        raise CapabilityError(INVALID_REQUEST, str(exc)) from exc
