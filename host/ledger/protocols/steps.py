"""Operations with typed answers, shared by the protocols."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from host.domain.capability_error import CapabilityError
from host.domain.json import JsonObject, JsonValue
from host.ledger.core.message_reading import ProtocolMismatchError
from host.ledger.core.messages import message_json
from host.ports.programs import (
    Call,
    Counterparties,
    FailSession,
    Operation,
    Receive,
    Send,
)

_T = TypeVar("_T")
_S = TypeVar("_S", bound=Struct)
Steps: TypeAlias = Generator[Operation, JsonValue, _T]
"""A part of a program, to be used with `yield from`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Got:
    """What a receive has brought from one session: a payload, or the error that stands for it."""

    session: str
    payload: JsonValue
    error: CapabilityError | None

    def value(self) -> JsonValue:
        """The payload.

        Raises:
            CapabilityError: the session's error.
        """
        if self.error is not None:
            raise self.error
        return self.payload


def read_request(request: JsonObject, kind: type[_S]) -> _S:
    """The request of a host call.

    Raises:
        CapabilityError: `request-invalid`.
    """
    fields = {name: value for name, value in request.items() if name != "op"}
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as exc:
        raise CapabilityError("request-invalid", str(exc)) from exc


def call(function: str, request: JsonObject) -> Steps[JsonValue]:
    """Call a function of the ledger."""
    answer = yield Call(function, request)
    return answer


def ask(
    function: str, request: JsonObject, answer: type[_S], *, audited: str | None = None
) -> Steps[_S]:
    """Call a function of the ledger that answers an object; see `Call`."""
    found = yield Call(function, request, audited)
    return msgspec.convert(found, answer)


def counterparties(sessions: Sequence[str]) -> Steps[list[str]]:
    """The X.500 names at the other ends of sessions."""
    found = yield Counterparties(tuple(sessions))
    return msgspec.convert(found, list[str])


def send(session: str, message: Struct) -> Steps[None]:
    """Send a message.

    Raises:
        CapabilityError: the session has failed, or is closed.
    """
    yield Send(session, message_json(message))


def send_made(session: str, made: Call, summary: type[_S]) -> Steps[_S]:
    """Send a payload that a function makes; answers its summary."""
    found = yield Send(session, made=made)
    return msgspec.convert(found, summary)


def receive(
    sessions: Sequence[str],
    *,
    any_of: bool = False,
    within_ms: int | None = None,
    into: Call | None = None,
) -> Steps[list[Got]]:
    """The next payload of each session, or of those that have one."""
    answer = yield Receive(sessions=tuple(sessions), any=any_of, within_ms=within_ms, into=into)
    assert isinstance(answer, Sequence)  # noqa: S101  # as the operation is defined
    return [_got(each) for each in answer]


def receive_from(
    session: str, *, within_ms: int | None = None, into: Call | None = None
) -> Steps[JsonValue]:
    """The next payload of a session.

    Raises:
        CapabilityError: the session's error, `timed-out`, or the refusal of `into`.
    """
    (got,) = yield from receive((session,), within_ms=within_ms, into=into)
    return got.value()


def expect(
    session: str, read: Callable[[JsonValue], _T], *, within_ms: int | None = None
) -> Steps[_T]:
    """The next message of a session, which fails if `read` refuses the message.

    Raises:
        CapabilityError: the session's error, or `protocol-mismatch`.
    """
    payload = yield from receive_from(session, within_ms=within_ms)
    try:
        return read(payload)
    except CapabilityError as refused:
        yield from fail(session, refused)
        raise


def fail(session: str, error: CapabilityError) -> Steps[None]:
    """End a session with an error; one that is over stays as it is."""
    try:
        yield FailSession(session, error.code, error.message)
    except CapabilityError:
        return


def try_to_send(session: str, message: Struct) -> Steps[CapabilityError | None]:
    """Send a message; answers why it could not be sent."""
    try:
        yield from send(session, message)
    except CapabilityError as refused:
        return refused
    return None


def _got(found: JsonValue) -> Got:
    assert isinstance(found, Mapping)  # noqa: S101  # as the operation is defined
    session, error = str(found["session"]), found.get("error")
    if not isinstance(error, Mapping):
        return Got(session=session, payload=found["payload"], error=None)
    reason = error.get("reasonCode")
    return Got(
        session=session,
        payload=None,
        error=CapabilityError(
            str(error["code"]),
            str(error["message"]),
            reason_code=None if reason is None else str(reason),
        ),
    )


def is_mismatch(error: CapabilityError) -> bool:
    """Whether the peer does not speak the protocol: its session is to be failed."""
    return isinstance(error, ProtocolMismatchError) or error.code == "protocol-mismatch"
