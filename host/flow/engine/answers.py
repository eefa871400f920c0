"""Answers of platform services as texts for guests, and their refusals sorted."""

import msgspec

from host.domain.capability_error import CapabilityError
from host.domain.errors import (
    DiskFullError,
    HostError,
    OutageError,
    StorageBusyError,
    StorageError,
    UnavailableError,
)
from host.domain.json import JsonObject, JsonValue
from host.flow.core.calls import Answer, Refused
from host.ports.capability import CallContext, Capability
from host.ports.requests import refusing_misfits

_OUTAGES = (OutageError, DiskFullError, StorageBusyError)
"""Failures of a service that no request has caused."""


def translated(
    capability: Capability, context: CallContext, function: str, request: JsonObject
) -> JsonValue:
    """Call, and classify the service's errors: for the flow, or to be retried."""
    try:
        with refusing_misfits():
            return capability.call(context, function, request)
    except (StorageError, UnavailableError) as exc:
        reason = f"{capability.name}.{function}: {exc.message}"
        kind = OutageError if isinstance(exc, _OUTAGES) else UnavailableError
        raise kind(reason, **exc.details) from exc
    except HostError as exc:
        account = exc.details.get("account")
        raise CapabilityError(exc.code, exc.public_message, account=account) from exc


def encoded(name: str, answer: JsonValue) -> str:
    """The answer's JSON text.

    Raises:
        CapabilityError: `answer-invalid`, it cannot be encoded, because of data from a guest.
    """
    try:
        return msgspec.json.encode(answer).decode()
    except (OverflowError, RecursionError, TypeError, ValueError) as exc:
        raise CapabilityError(
            "answer-invalid", f"the answer of {name} cannot be written: {type(exc).__name__}"
        ) from exc


def text_of(outcome: Answer | Refused) -> str:
    """The text that the guest gets: the answer, or the error's JSON."""
    if isinstance(outcome, Answer):
        return outcome.text
    return refusal_text(outcome.error)


def refusal_text(refused: CapabilityError) -> str:
    """The `err` of a refused host call (docs/reference/host-api.md)."""
    error = {"code": refused.code, "message": refused.message}
    if refused.account is not None:
        error["account"] = refused.account
    if refused.reason_code is not None:
        error["reasonCode"] = refused.reason_code
    return msgspec.json.encode(error).decode()
