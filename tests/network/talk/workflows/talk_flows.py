"""A conversation of two members, as long as the first one asks for."""

from dataclasses import dataclass

from cordapp.flows import (
    ClientStartableFlow,
    FlowSession,
    ResponderFlow,
    initiated_by,
    initiating_flow,
)

PROTOCOL = "talk"


@dataclass(frozen=True)
class TalkRequest:
    peer: str
    rounds: int


@dataclass(frozen=True)
class Line:
    """`is_last` ends the conversation."""

    number: int
    is_last: bool


@initiating_flow(PROTOCOL)
class Talk(ClientStartableFlow[TalkRequest, int]):
    """Gives the sum of what the peer has answered."""

    def call(self, request_body: TalkRequest) -> int:
        session = self.flow_messaging.initiate_flow(request_body.peer)
        total = 0
        for number in range(1, request_body.rounds + 1):
            line = Line(number, is_last=number == request_body.rounds)
            total += session.send_and_receive(int, line)
        return total


@initiated_by(PROTOCOL)
class Double(ResponderFlow):
    """Answers each number by its double."""

    def call(self, session: FlowSession) -> None:
        is_last = False
        while not is_last:
            line = session.receive(Line)
            session.send(2 * line.number)
            is_last = line.is_last


TRACE = "corda.traceParent"


@initiating_flow("traces")
class CompareTraces(ClientStartableFlow[str, list[str]]):
    """Gives the span of this flow, and that of the peer's."""

    def call(self, request_body: str) -> list[str]:
        session = self.flow_messaging.initiate_flow(request_body)
        own = self.flow_engine.flow_context_properties.get(TRACE)
        return [own or "", session.receive(str)]


@initiated_by("traces")
class TellTrace(ResponderFlow):
    """Answers with the span of this flow."""

    def call(self, session: FlowSession) -> None:
        session.send(self.flow_engine.flow_context_properties.get(TRACE) or "")
