"""Reads topics whole, as another system does."""

from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

SECONDS_MAX = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A record as it stands on a broker; the place is that of its id."""

    store_id: str
    topic: str
    partition: int
    position: int
    broker_partition: int
    key: str
    value: bytes


def read_all(brokers: str, topic: str) -> list[Read]:
    """All records of a topic: by the broker's partitions, in their order."""
    consumer = Consumer(
        {"bootstrap.servers": brokers, "group.id": "reader", "enable.auto.commit": False}
    )
    try:
        found: list[Read] = []
        for number in consumer.list_topics(topic, timeout=SECONDS_MAX).topics[topic].partitions:
            place = TopicPartition(topic, number, OFFSET_BEGINNING)
            _, end = consumer.get_watermark_offsets(place, timeout=SECONDS_MAX)
            consumer.assign([place])
            read = 0
            while read < end:
                message = consumer.poll(SECONDS_MAX)
                assert message is not None, f"{topic} {number}: {read} of {end}"
                assert message.error() is None, message.error()
                read = message.offset() + 1
                headers = dict(message.headers())
                store_id, name, partition, position = headers["cordbox-id"].decode().split("/")
                found.append(
                    Read(
                        store_id=store_id,
                        topic=name,
                        partition=int(partition),
                        position=int(position),
                        broker_partition=number,
                        key=message.key().decode(),
                        value=message.value(),
                    )
                )
        return found
    finally:
        consumer.close()


def taken(records: Sequence[Read]) -> list[Read]:
    """What a reader takes: in each partition of the store the position after the last one.

    What is before it is a repetition; what is beyond it comes again, behind what is missing.
    """
    last: dict[tuple[str, str, int], int] = {}
    found = []
    for record in records:
        place = record.store_id, record.topic, record.partition
        if record.position == last.get(place, -1) + 1:
            last[place] = record.position
            found.append(record)
    return found
