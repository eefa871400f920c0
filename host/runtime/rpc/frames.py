"""What frames hold: calls, their answers, and refusals that stay the exceptions they were."""

from collections.abc import Iterator, Mapping

import msgspec

from host.domain.capability_error import CapabilityError
from host.domain.errors import HostError

_FIELDS_MAX = 64


class Call(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A call: `ids` name the flow, node and request for which it is made."""

    service: str
    method: str
    arguments: msgspec.Raw
    ids: dict[str, str]


class Refusal(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Why a call has no result.

    `codes` is the error's own code, then those of the classes above it; none of a
    `CapabilityError`'s. An empty `codes` is a failure that the service did not foresee.
    """

    codes: tuple[str, ...]
    message: str
    details: dict[str, str]
    is_capability: bool = False


class Answer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The answer to a call: its result, or why there is none."""

    result: msgspec.Raw
    refusal: Refusal | None = None


class RemoteFailureError(Exception):
    """A worker failed in a way that no service foresees; its log tells how."""


def refusal_of(error: Exception) -> Refusal:
    """What to send of an error that a service raised."""
    if isinstance(error, CapabilityError):
        return Refusal((error.code,), error.message, {}, is_capability=True)
    if isinstance(error, HostError):
        codes = tuple(
            dict.fromkeys(kind.code for kind in type(error).__mro__ if issubclass(kind, HostError))
        )
        return Refusal(codes, error.message, dict(error.details))
    return Refusal((), f"{type(error).__name__}", {})


def error_of(refusal: Refusal) -> Exception:
    """The exception that a refusal was, or the nearest one that this process knows."""
    if not refusal.codes:
        return RemoteFailureError(refusal.message)
    code = refusal.codes[0]
    if refusal.is_capability:
        return CapabilityError(code, refusal.message)
    known = {kind.code: kind for kind in _tree(HostError)}
    nearest = next((known[c] for c in refusal.codes if c in known), HostError)
    error = nearest.__new__(nearest)
    HostError.__init__(error, refusal.message, **_fields(refusal.details))
    if nearest.code != code:
        # The error's own class is not loaded here: its code still is what clients look at.
        vars(error)["code"] = code
    return error


def _fields(details: Mapping[str, str]) -> dict[str, str]:
    return dict(list(details.items())[:_FIELDS_MAX])


def _tree(root: type[HostError]) -> Iterator[type[HostError]]:
    """The class and all below it, so that of two with one code the nearest to the root is last."""
    for kind in root.__subclasses__():
        yield from _tree(kind)
    yield root
