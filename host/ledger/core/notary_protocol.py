"""What a notary and its clients say to each other: protocols, and the form of an answer. Pure.

A request is read by `host.ledger.notary.requests`. An answer is

    {"signatures": [..], "error": null}
    {"signatures": [], "error": {"kind": .., "message": .., "details": {..}}}

It has no envelope: the flow of a notary is a CorDapp's, and so may be a client's.
Source: corda-runtime-os `NotarizationResponse.kt`, `NotaryError*.kt`.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from host.domain.instants import is_instant
from host.domain.json import JsonObject, JsonValue
from host.ledger.core.answers import NotaryError
from host.ledger.core.message_reading import ProtocolMismatchError
from host.ledger.core.messages import Content, Message, Signatures
from host.ledger.core.notary_errors import ErrorKind

NON_VALIDATING = "com.r3.corda.notary.plugin.nonvalidating"
CONTRACT_VERIFYING = "com.r3.corda.notary.plugin.contractverifying"
VERSIONS = {NON_VALIDATING: (1,), CONTRACT_VERIFYING: (1,)}
"""The versions of each protocol that this release speaks, as client and as notary."""
ANSWER_BYTES_MAX = 64 * 1024
_LOWER = "timeWindowLowerBound"


class _Error(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: Annotated[str, Meta(min_length=1, max_length=64)]
    message: Message
    details: Content


class _Answer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    signatures: Signatures
    error: _Error | None


def read_answer(payload: JsonValue) -> tuple[Sequence[JsonObject], NotaryError | None]:
    """The signatures and the error of a notary's answer, as it came.

    Raises:
        ProtocolMismatchError: it is no answer.
    """
    size = len(msgspec.json.encode(payload))
    if size > ANSWER_BYTES_MAX:
        raise ProtocolMismatchError(
            f"a notary's answer has {size} bytes, at most {ANSWER_BYTES_MAX} are allowed"
        )
    try:
        answer = msgspec.convert(payload, _Answer)
    except msgspec.ValidationError as exc:
        raise ProtocolMismatchError(f"a notary's answer: {exc}") from exc
    if (answer.error is None) is not bool(answer.signatures):
        raise ProtocolMismatchError("a notary's answer must have signatures, or else an error")
    return answer.signatures, None if answer.error is None else _error(answer.error)


def _error(error: _Error) -> NotaryError:
    """The error; a kind that is not known decides nothing."""
    is_known = error.kind in {kind.value for kind in ErrorKind}
    kind = ErrorKind(error.kind) if is_known else ErrorKind.GENERAL
    lower = error.details.get(_LOWER)
    is_early = kind is ErrorKind.TIME_WINDOW_BEFORE_LOWER_BOUND
    return NotaryError(
        kind=kind.value,
        message=error.message if is_known else f"{error.kind}: {error.message}",
        lower=lower if is_early and isinstance(lower, str) and is_instant(lower) else None,
    )
