"""What a notary is asked: the request of a client, and what the notary checks in it. Pure.

    {"check": "WRITE" | "READ", "filtered": F}                                  non-validating
    {"check": "WRITE" | "READ", "transaction": T, "dependencies": [{"filtered": F, "signatures"}]}
                                                                                contract-verifying

A non-validating notary sees metadata, notary, time window, inputs and references whole, and the
number of outputs: it learns nothing of states and commands, and cannot know whether a transaction
is valid. The number of outputs can be understated, to the harm of its maker alone.
Source: corda-runtime-os `NonValidatingNotaryServerFlowImpl.kt`,
`ContractVerifyingNotaryServerFlowImpl.kt`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from host.domain.capability_error import CapabilityError
from host.domain.instants import is_instant
from host.domain.json import JsonObject, JsonValue
from host.ledger.core.components import Group
from host.ledger.core.filtered import Selection
from host.ledger.core.filtered_content import FilteredContent, Listed, filtered_content
from host.ledger.core.filtered_json import read_filtered
from host.ledger.core.model import Notary, StateRef, TimeWindow
from host.ledger.core.notary_errors import ErrorKind
from host.ledger.notary.model import Check, Rejection, UniquenessRequest
from host.ports.requests import as_object, check_fields, take_object, take_text

FOR_NOTARY: Selection = {
    Group.NOTARY: range(3),
    Group.INPUTS: range(1000),
    Group.REFERENCES: range(1000),
    Group.OUTPUTS: None,
}
"""What a client shows of a transaction to a non-validating notary."""


class RequestRefusedError(Exception):
    """A request that is not passed to the uniqueness check."""

    def __init__(self, kind: ErrorKind, reason: str) -> None:
        super().__init__(reason)
        self.rejection = Rejection(kind=kind, message=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A checked request of a non-validating notary's client."""

    notary: Notary
    parameters_hash: str
    uniqueness: UniquenessRequest


def read_filtered_request(payload: JsonValue, *, originator: str) -> Asked:
    """Check the request of a non-validating notary's client.

    Args:
        payload: as it came from the client.
        originator: the client's name.

    Raises:
        RequestRefusedError: it is malformed, a proof fails, or a part is not shown.
    """
    try:
        request = as_object(payload, "request")
        check_fields(request, ("check", "filtered"))
        check = _check(request)
        filtered = read_filtered(take_object(request, "filtered"))
        content = filtered_content(filtered)
    except CapabilityError as exc:
        raise _failure(exc.message) from exc
    notary, window = _notary(content), _window(content)
    uniqueness = UniquenessRequest(
        check=check,
        id=filtered.id,
        inputs=_whole(content.inputs, "inputs"),
        references=_whole(content.references, "references"),
        output_count=_count(content),
        lower=window.starts,
        upper=window.until,
        originator=originator,
    )
    return Asked(
        notary=notary,
        parameters_hash=_parameters_hash(content.metadata),
        uniqueness=uniqueness,
    )


def check_notary(asked: Notary, *, service: str, keys: Sequence[str]) -> str:
    """The own key that notarises.

    Args:
        asked: the notary that the transaction names.
        service: the name of this node's notary service.
        keys: this node's keys that the service's key stands for, or is composed of.

    Raises:
        RequestRefusedError: another notary is named, or this node has no key to sign with.
    """
    if asked.name != service:
        raise _failure(f"the transaction names notary {asked.name!r}, this is {service!r}")
    if asked.key not in keys:
        raise RequestRefusedError(
            ErrorKind.GENERAL, f"this node has no key of notary service {service!r} to sign with"
        )
    return asked.key


def _check(request: JsonObject) -> Check:
    text = take_text(request, "check", characters_max=16)
    if text not in list(Check):
        raise CapabilityError("request-invalid", f"field 'check' must be one of {', '.join(Check)}")
    return Check(text)


def _notary(content: FilteredContent) -> Notary:
    if not content.is_notary_shown or content.notary is None:
        raise _failure("the transaction does not show its notary")
    return content.notary


def _window(content: FilteredContent) -> TimeWindow:
    window = content.time_window
    if not content.is_window_shown or window is None:
        raise _failure("the transaction does not show its time window")
    if not is_instant(window.until) or not (window.starts is None or is_instant(window.starts)):
        raise _failure("the bounds of the time window are no instants in UTC with microseconds")
    return window


def _whole(listed: Listed[StateRef] | None, what: str) -> tuple[StateRef, ...]:
    if listed is None or listed.values is None or not listed.is_whole():
        raise _failure(f"the transaction does not show all of its {what}")
    return tuple(listed.values[index] for index in range(listed.size))


def _count(content: FilteredContent) -> int:
    if content.outputs is None:
        raise _failure("the transaction does not show the number of its outputs")
    return content.outputs.size


def _parameters_hash(metadata: JsonObject) -> str:
    found = metadata.get("membershipGroupParametersHash")
    if not isinstance(found, str):
        raise _failure("the metadata names no group parameters")
    return found


def _failure(reason: str) -> RequestRefusedError:
    return RequestRefusedError(ErrorKind.TRANSACTION_VERIFICATION_FAILURE, reason)
