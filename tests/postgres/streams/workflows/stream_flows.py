"""Flows whose results tell whether anything was lost, repeated or out of order."""

from dataclasses import dataclass

from cordapp.flows import (
    ClientStartableFlow,
    FlowSession,
    ResponderFlow,
    entity,
    initiated_by,
    initiating_flow,
)

PROTOCOL = "streams"


@dataclass(frozen=True)
class StreamRequest:
    peer: str
    count: int


@dataclass(frozen=True)
class NapRequest:
    times: int
    millis: int


@dataclass(frozen=True)
class StepsRequest:
    name: str
    count: int


@entity(key="name")
@dataclass(frozen=True)
class Step:
    name: str


@initiating_flow(PROTOCOL)
class Stream(ClientStartableFlow[StreamRequest, list[int]]):
    """Sends numbers without waiting, and answers which the peer has received, in its order."""

    def call(self, request_body: StreamRequest) -> list[int]:
        session = self.flow_messaging.initiate_flow(request_body.peer)
        session.send(request_body.count)
        for number in range(request_body.count):
            session.send(number)
        return session.receive(list[int])


@initiated_by(PROTOCOL)
class Collect(ResponderFlow):
    """Receives as many numbers as it was told, and sends them back."""

    def call(self, session: FlowSession) -> None:
        count = session.receive(int)
        session.send([session.receive(int) for _ in range(count)])


@initiating_flow("bounces")
class Bounce(ClientStartableFlow[StreamRequest, int]):
    """Sends numbers and waits for each to come back."""

    def call(self, request_body: StreamRequest) -> int:
        session = self.flow_messaging.initiate_flow(request_body.peer)
        session.send(request_body.count)
        return sum(session.send_and_receive(int, 1) for _ in range(request_body.count))


@initiated_by("bounces")
class BounceBack(ResponderFlow):
    """Sends each number back."""

    def call(self, session: FlowSession) -> None:
        for _ in range(session.receive(int)):
            session.send(session.receive(int))


class Nap(ClientStartableFlow[NapRequest, int]):
    """Sleeps some times; answers how often."""

    def call(self, request_body: NapRequest) -> int:
        for _ in range(request_body.times):
            self.flow_engine.sleep(request_body.millis)
        return request_body.times


class Steps(ClientStartableFlow[StepsRequest, int]):
    """Makes calls that each need a commit before and after."""

    def call(self, request_body: StepsRequest) -> int:
        for number in range(request_body.count):
            self.persistence_service.persist(Step(f"{request_body.name}-{number}"))
        return request_body.count
