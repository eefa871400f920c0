"""Import of the logs of a store, such as dead letters, and of what a relay has sent of them."""

from collections.abc import Callable, Iterator, Sequence

from host.domain.ids import ShortHash
from host.network.outward.troubles import GROUP
from host.ports.bus import NewRecord, Record, RecordPlace, TopicPartition
from host.ports.outward import EXTERNAL_PREFIX
from host.ports.units import Consumed, FlowStore, Unit

_PAGE = 200


def copy_logs(one: FlowStore, other: FlowStore, nodes: Sequence[ShortHash]) -> int:
    """Copy the records of all logs but those of external messages, which `NodeFlows` copies.

    What the relay of the one store has sent comes first, and counts as sent in the other store: its
    relay goes on behind it, under new positions and another store id.

    Args:
        one: the store that is copied; no host uses it.
        other: a store without such records, and without relays.
        nodes: whose records.

    Returns:
        The number of records.
    """
    topics = [topic for topic in one.topics("") if not topic.startswith(EXTERNAL_PREFIX)]
    is_sent = _sent_of(one)
    count = _copy(one, other, nodes, topics, is_sent)
    for source in other.ready(GROUP, topics):
        while batch := other.poll(GROUP, source, _PAGE):
            start = batch[0].offset
            size = batch[-1].offset + 1 - start
            consumed = Consumed(group=GROUP, source=source, start=start, count=size)
            other.commit(Unit(consumed=(consumed,)))
    return count + _copy(one, other, nodes, topics, lambda record: not is_sent(record))


def _copy(
    one: FlowStore,
    other: FlowStore,
    nodes: Sequence[ShortHash],
    topics: Sequence[str],
    takes: Callable[[Record], bool],
) -> int:
    count = 0
    for node in nodes:
        for topic in topics:
            for page in _pages(one, node, topic):
                records = [
                    NewRecord(topic=topic, key=log.key, value=log.value, owner=node)
                    for log in page
                    if takes(log)
                ]
                if records:
                    other.commit(Unit(records=tuple(records)))
                count += len(records)
    return count


def _pages(store: FlowStore, node: ShortHash, topic: str) -> Iterator[Sequence[Record]]:
    after: RecordPlace | None = None
    while page := store.logs_of_node(node, topic, after, _PAGE):
        yield page
        after = page[-1].place


def _sent_of(store: FlowStore) -> Callable[[Record], bool]:
    """Tells which records the relay of a store has sent: those before its position."""
    unsent: dict[TopicPartition, int | None] = {}

    def is_sent(record: Record) -> bool:
        source = record.source
        if source not in unsent:
            following = store.poll(GROUP, source, 1)
            unsent[source] = following[0].offset if following else None
        first = unsent[source]
        return first is None or record.offset < first

    return is_sent
