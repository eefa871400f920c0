"""Two nodes that send a number back and forth."""

from dataclasses import dataclass

from cordapp.flows import (
    ClientStartableFlow,
    FlowSession,
    ResponderFlow,
    initiated_by,
    initiating_flow,
)


@dataclass(frozen=True)
class PingRequest:
    counterparty: str
    rounds: int


@dataclass(frozen=True)
class Ball:
    """`last` tells the responder that no more will come."""

    number: int
    last: bool


@initiating_flow(protocol="ping-pong", versions=(1,))
class Ping(ClientStartableFlow[PingRequest, int]):
    """Plays `rounds` rounds, and answers how many came back right."""

    def call(self, request_body: PingRequest) -> int:
        session = self.flow_messaging.initiate_flow(request_body.counterparty)
        right = 0
        for number in range(request_body.rounds):
            ball = Ball(number, last=number == request_body.rounds - 1)
            right += session.send_and_receive(Ball, ball).number == number + 1
        return right


@initiated_by(protocol="ping-pong", versions=(1,))
class Pong(ResponderFlow):
    """Sends every number back, one larger."""

    def call(self, session: FlowSession) -> None:
        last = False
        while not last:
            ball = session.receive(Ball)
            last = ball.last
            session.send(Ball(ball.number + 1, last=last))
