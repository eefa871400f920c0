"""Sessions: a flow's conversations with the flows of other members."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from cordapp import services
from cordapp.errors import CordaRuntimeError, HostApi
from cordapp.schema import CodecError, from_json, to_json

if TYPE_CHECKING:
    from typing_extensions import TypeForm  # of a type expression: `A | B`, where `type` is a class

T = TypeVar("T")


@dataclass(frozen=True)
class FlowInfo:
    """Which protocol two flows speak."""

    protocol: str
    version: int


class FlowSession:
    """A conversation with one peer's flow. Payloads are anything that has a JSON form.

    What was sent is what is received: a payload of another type than the receiver names is refused.
    """

    def __init__(self, api: HostApi, session_id: str, counterparty: str) -> None:
        self._api = api
        self.id = session_id
        self.counterparty = counterparty

    def send(self, payload: object) -> None:
        """Send a message; does not wait for the peer."""
        message = {"session": self.id, "payload": to_json(payload)}
        self._api.call("sessions", "send", {"messages": [message]})

    def receive(self, cls: "TypeForm[T]") -> T:
        """Wait for the peer's next message, which must fit `cls`.

        Raises:
            SessionError: the peer's flow failed; the message is the peer's.
            CordaRuntimeError: `payload-mismatch`.
        """
        return _received(self._api, cls, [self])[0]

    def send_and_receive(self, cls: "TypeForm[T]", payload: object) -> T:
        """Send, then receive."""
        self.send(payload)
        return self.receive(cls)

    def get_counterparty_flow_info(self) -> FlowInfo:
        """The protocol that both sides agreed on; may wait for the peer's first message."""
        info: Any = self._api.call("sessions", "info", {"session": self.id})
        return FlowInfo(info["protocol"], info["protocolVersion"])

    def close(self) -> None:
        """End the conversation; closing again does nothing."""
        self._api.call("sessions", "close", {"sessions": [self.id]})


class FlowMessaging(services.Service):
    """Opens sessions, and speaks with several peers at once."""

    def initiate_flow(
        self, counterparty: str, *, require_close: bool = True, timeout_millis: int | None = None
    ) -> FlowSession:
        """A session with the member of this X.500 name; its responder starts with the first send.

        Raises:
            CordaRuntimeError: `session-no-protocol` outside of an initiating flow.
        """
        request = {
            "counterparty": counterparty,
            "requireClose": require_close,
            "timeoutMillis": timeout_millis,
        }
        opened = self._call("sessions", "open", request)
        return FlowSession(self._api, opened["session"], counterparty)

    def send_all(self, payload: object, sessions: Sequence[FlowSession]) -> None:
        """Send one payload to all."""
        value = to_json(payload)
        messages = [{"session": s.id, "payload": value} for s in sessions]
        self._call("sessions", "send", {"messages": messages})

    def receive_all(self, cls: "TypeForm[T]", sessions: Sequence[FlowSession]) -> list[T]:
        """Wait for a message from each, in the order of `sessions`."""
        return _received(self._api, cls, sessions)


def _received(api: HostApi, cls: "TypeForm[T]", sessions: Sequence[FlowSession]) -> list[T]:
    request = {"sessions": [session.id for session in sessions]}
    payloads: Any = api.call("sessions", "receive", request)
    try:
        return [from_json(cls, payload) for payload in payloads]
    except CodecError as exc:
        expected = getattr(cls, "__name__", str(cls))
        message = f"Expecting to receive {expected}: {exc}"
        raise CordaRuntimeError("payload-mismatch", message) from exc
