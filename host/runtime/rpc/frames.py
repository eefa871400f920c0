"""Contents of frames: calls, their answers, and errors that are raised as the same exceptions."""

from collections.abc import Iterator, Mapping

import msgspec

from host.domain.capability_error import CapabilityError
from host.domain.errors import HostError

_FIELDS_MAX = 64
_CAPABILITY_FIELDS = ("account", "reason_code")
"""What a `CapabilityError` has beside code and message."""


class Call(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A call: `ids` name the flow, node and request that it belongs to."""

    service: str
    method: str
    arguments: msgspec.Raw
    ids: dict[str, str]


class Refusal(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Why a call has no result.

    `codes` is the error's own code, then those of its base classes; for a `CapabilityError` only
    its own. If `codes` is empty, the failure is unexpected.
    """

    codes: tuple[str, ...]
    message: str
    details: dict[str, str]
    is_capability: bool = False


class Answer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The answer to a call: its result, or the error."""

    result: msgspec.Raw
    refusal: Refusal | None = None


class RemoteFailureError(Exception):
    """A worker failed unexpectedly; its log has the cause."""


def refusal_of(error: Exception) -> Refusal:
    """The frame for an error that a service raised."""
    if isinstance(error, CapabilityError):
        details = {name: value for name in _CAPABILITY_FIELDS if (value := getattr(error, name))}
        return Refusal((error.code,), error.message, details, is_capability=True)
    if isinstance(error, HostError):
        return Refusal(_codes_of(type(error)), error.message, dict(error.details))
    return Refusal((), f"{type(error).__name__}", {})


def error_of(refusal: Refusal) -> Exception:
    """The exception of a refusal, in its class or the nearest base class that is loaded here."""
    if not refusal.codes:
        return RemoteFailureError(refusal.message)
    code = refusal.codes[0]
    if refusal.is_capability:
        account, reason_code = (refusal.details.get(name) for name in _CAPABILITY_FIELDS)
        return CapabilityError(code, refusal.message, account=account, reason_code=reason_code)
    known = {_codes_of(kind): kind for kind in _tree(HostError)}
    suffixes = (refusal.codes[start:] for start in range(len(refusal.codes)))
    nearest = next((known[codes] for codes in suffixes if codes in known), HostError)
    error = nearest.__new__(nearest)
    HostError.__init__(error, refusal.message, **_fields(refusal.details))
    if nearest.code != code:
        # The error's own class is not loaded here; clients still need its code.
        vars(error)["code"] = code
    return error


def _codes_of(kind: type[HostError]) -> tuple[str, ...]:
    """The codes of a class and its base classes, each once."""
    classes = (each for each in kind.__mro__ if issubclass(each, HostError))
    return tuple(dict.fromkeys(each.code for each in classes))


def _fields(details: Mapping[str, str]) -> dict[str, str]:
    return dict(list(details.items())[:_FIELDS_MAX])


def _tree(root: type[HostError]) -> Iterator[type[HostError]]:
    """The class and all its subclasses; of those with the same code, the base class is last."""
    for kind in root.__subclasses__():
        yield from _tree(kind)
    yield root
