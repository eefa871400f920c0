"""Conversations of the smoke test: a responder that echoes, and what initiators do with it."""

from collections.abc import Mapping
from dataclasses import dataclass

from cordapp.flows import (
    FlowSession,
    ResponderFlow,
    SessionError,
    SubFlow,
    initiated_by,
    initiating_flow,
)

PROTOCOL = "smoke-test-protocol"
SUB_FLOW_PROTOCOL = "smoke-test-sub-flow-protocol"
NO_RESPONDER = "broken-protocol"
CONTEXT_KEY = "smoke-key"


@dataclass(frozen=True)
class Message:
    """`kind` tells the responder what to do with `text`."""

    kind: str
    text: str = ""


@initiated_by(PROTOCOL)
class Echo(ResponderFlow):
    """Answers until the initiator has nothing more to say."""

    def call(self, session: FlowSession) -> None:
        message = session.receive(Message)
        while message.kind != "end":
            if message.kind == "fail":
                raise ValueError(message.text)
            if message.kind == "close":
                session.close()
                return
            if message.kind == "context":
                found = self.flow_engine.flow_context_properties.get(CONTEXT_KEY)
                session.send(str(found))
            else:
                session.send(f"echo:{message.text}")
            message = session.receive(Message)


@initiated_by(SUB_FLOW_PROTOCOL)
class SubFlowEcho(ResponderFlow):
    """Answers one message with the context property that came with it."""

    def call(self, session: FlowSession) -> None:
        text = session.receive(str)
        found = self.flow_engine.flow_context_properties.get(CONTEXT_KEY)
        session.send(f"sub-flow:{text}:{found}")


@initiating_flow(SUB_FLOW_PROTOCOL)
@dataclass(frozen=True)
class InitiatingSubFlow(SubFlow[str]):
    """Opens a session of its own protocol."""

    peer: str
    text: str

    def call(self) -> str:
        session = self.flow_messaging.initiate_flow(self.peer)
        return session.send_and_receive(str, self.text)


@dataclass(frozen=True)
class InlineSubFlow(SubFlow[str]):
    """Speaks over a session that its caller opened, before or after the first message."""

    session: FlowSession
    text: str

    def call(self) -> str:
        return self.session.send_and_receive(str, Message("echo", self.text))


@initiating_flow(NO_RESPONDER)
@dataclass(frozen=True)
class BrokenProtocol(SubFlow[str]):
    """Nobody answers its protocol."""

    peer: str

    def call(self) -> str:
        try:
            return self.flow_messaging.initiate_flow(self.peer).send_and_receive(str, "hello")
        except SessionError as exc:
            return f"caught {exc.code}"


def close_all(sessions: Mapping[str, FlowSession]) -> None:
    """Let the responders end, and close the sessions."""
    for session in sessions.values():
        session.send(Message("end"))
        session.close()
