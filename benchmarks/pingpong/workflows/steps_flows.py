"""Flows of durable steps: calls that may change something, and calls that a replay answers."""

from dataclasses import dataclass

from cordapp.flows import ClientStartableFlow, entity


@entity(key="number")
@dataclass(frozen=True)
class Step:
    number: int


@dataclass(frozen=True)
class StepsRequest:
    count: int


class Steps(ClientStartableFlow[StepsRequest, int]):
    """Makes `count` calls with effects; the journal up to each is on the disk before it."""

    def call(self, request_body: StepsRequest) -> int:
        for number in range(request_body.count):
            self.persistence_service.persist(Step(number))
        return request_body.count


class Replayed(ClientStartableFlow[StepsRequest, int]):
    """Makes `count` calls that are journalled, then sleeps: what follows replays them."""

    def call(self, request_body: StepsRequest) -> int:
        for _ in range(request_body.count):
            self.random.bytes(8)
        self.flow_engine.sleep(1)
        return request_body.count
