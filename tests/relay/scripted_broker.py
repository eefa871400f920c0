"""A broker in memory that is away, or refuses topics, when a test says so."""

from collections.abc import Mapping, Sequence

from host.domain.errors import HostError, UnavailableError
from host.ports.bus import Record, TopicPartition


class RefusedError(HostError):
    code = "broker-refused"


class ScriptedBroker:
    """Keeps what arrives, as a broker's log does."""

    def __init__(self) -> None:
        self.arrived: list[Record] = []
        self.calls: list[list[Record]] = []
        self.is_away = False
        self.refused: set[str] = set()
        self.loses_answers = False

    def deliver(self, batches: Sequence[Sequence[Record]]) -> Mapping[TopicPartition, HostError]:
        self.calls += [list(batch) for batch in batches]
        if self.is_away:
            return {batch[0].source: UnavailableError("no broker answers") for batch in batches}
        failed: dict[TopicPartition, HostError] = {}
        for batch in batches:
            source = batch[0].source
            if source.topic in self.refused:
                failed[source] = RefusedError(f"no topic {source.topic}")
                continue
            self.arrived += batch
            if self.loses_answers:
                failed[source] = UnavailableError("the answer was lost")
        return failed

    def close(self) -> None:
        self.arrived.clear()
