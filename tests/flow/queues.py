"""What waits in the queues of a store, and what was ever published to it."""

from host.adapters.memory.store import MemoryStore
from host.domain.ids import ShortHash
from host.ports.bus import NewRecord
from host.ports.units import FlowStore, Unit
from host.ports.work import WorkRecord
from tests.flow.network import ALICE, BOB, holding

ALICES, BOBS = (holding(name).short_hash for name in (ALICE, BOB))


def event(topic: str, key: str, value: bytes, node: ShortHash = ALICES) -> NewRecord:
    """A record that is a node's work."""
    return NewRecord(topic=topic, key=key, value=value, node=node)


def waiting(store: FlowStore, topic: str) -> list[WorkRecord]:
    """All records that wait in a topic, in the order in which they were published."""
    found: list[WorkRecord] = []
    for queue in store.waiting([topic]):
        keys: set[str] = set()
        while records := store.take(queue, 9_999, keys).records:
            found += records
            keys.add(records[0].key)
    return sorted(found, key=lambda record: record.position)


class Remembering(MemoryStore):
    """Knows all records that were ever published."""

    def __init__(self) -> None:
        super().__init__()
        self.published: list[NewRecord] = []

    def commit(self, unit: Unit) -> None:
        super().commit(unit)
        self.published += unit.records
