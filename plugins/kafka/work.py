"""Carries work over Kafka: sends the outbox of a database, receives what is for a database.

Each database of a cluster has its topics: those of the first one have the names of the store, those
of the others end in `-` and its number. A record carries what is needed to land it in its headers,
and a code that proves that a host of the cluster has sent it: whoever can write to the topics alone
cannot start or disturb a flow.
"""

import hmac
from collections.abc import Mapping, Sequence

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaPartition

from host.domain.errors import HostError
from host.domain.ids import EpochMs, ShortHash
from host.ports.bus import TopicPartition, WorkQueue
from host.ports.carriage import Carried, Received
from plugins.kafka.client import ClientSettings, error_of
from plugins.kafka.sending import RecordSender, Sending

_HEADERS = (
    "cordbox-id",
    "cordbox-node",
    "cordbox-peer",
    "cordbox-after",
    "cordbox-written-at",
    "cordbox-nonce",
)
_CODE = "cordbox-code"
_RECORDS_MAX = 500
"""Of one reception."""
_WAIT_SECONDS = 0.25
_CONSUMER: ClientSettings = {
    "group.id": "cordbox",  # required by the client; partitions are assigned by the store
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "earliest",
    "enable.partition.eof": False,
    "fetch.wait.max.ms": 100,
    "fetch.message.max.bytes": 1024 * 1024,
    "queued.max.messages.kbytes": 16 * 1024,
    "fetch.error.backoff.ms": 100,
    "topic.metadata.refresh.interval.ms": 5_000,  # topics may be made anew
}
_PASSED_OVER = frozenset(
    {KafkaError._PARTITION_EOF, KafkaError._AUTO_OFFSET_RESET}  # noqa: SLF001  # public names
)


def topic_of(topic: str, number: int) -> str:
    """The name of a topic of work for a database of the cluster."""
    return topic if number == 0 else f"{topic}-{number}"


class KafkaWork:
    """The port `WorkBroker` for one database.

    Args:
        client: how to connect.
        prefix: what the name of each topic begins with.
        number: of the database: what is for it is received.
        key: of the codes of records.
    """

    def __init__(self, client: ClientSettings, *, prefix: str, number: int, key: bytes) -> None:
        self._client = client
        self._prefix = prefix
        self._number = number
        self._key = key
        self._sender = RecordSender(client)
        self._consumer: Consumer | None = None
        self._topics: dict[str, str] = {}

    def send(self, records: Sequence[Carried]) -> Mapping[TopicPartition, HostError]:
        """See `WorkBroker.send`; it takes some seconds if no broker answers."""
        sending = Sending()
        for record in records:
            place = TopicPartition(topic=record.queue.topic, partition=record.queue.partition)
            if place in sending.failed:
                continue  # what is behind a refused record of its partition is not sent
            try:
                self._sender.send(
                    place,
                    sending,
                    topic=self._prefix + topic_of(place.topic, record.target),
                    partition=place.partition,
                    key=record.key,
                    value=record.value,
                    headers=headers_of(record, self._key),
                )
            except KafkaException as failed:
                sending.failed[place] = error_of(failed.args[0], f"records of {place.topic}")
        return self._sender.finished(sending)

    def read_from(self, starts: Mapping[TopicPartition, int | None]) -> None:
        """See `WorkBroker.read_from`; what was received before is forgotten."""
        self._close_consumer()
        if not starts:
            return
        named = {
            topic: self._prefix + topic_of(topic, self._number)
            for topic in {place.topic for place in starts}
        }
        self._topics = {name: topic for topic, name in named.items()}
        self._consumer = Consumer({**self._client, **_CONSUMER})
        self._consumer.assign(
            [
                KafkaPartition(
                    named[place.topic],
                    place.partition,
                    OFFSET_BEGINNING if start is None else start,
                )
                for place, start in starts.items()
            ]
        )

    def receive(self) -> Sequence[Received]:
        if self._consumer is None:
            return ()
        found = list[Received]()
        wait = _WAIT_SECONDS
        while len(found) < _RECORDS_MAX:
            message = self._consumer.poll(wait)
            if message is None:
                break
            wait = 0
            error = message.error()
            if error is None:
                found.append(self._received(message))
            elif error.code() not in _PASSED_OVER and not found:
                raise error_of(error, "a question for work")
        return found

    def close(self) -> None:
        self._sender.forget()
        self._close_consumer()

    def _received(self, message: Message) -> Received:
        topic = self._topics[message.topic() or ""]
        place = TopicPartition(topic=topic, partition=message.partition() or 0)
        record = read_record(message, place, number=self._number, key=self._key)
        return Received(place=place, following=(message.offset() or 0) + 1, record=record)

    def _close_consumer(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None


def headers_of(record: Carried, key: bytes) -> list[tuple[str, bytes]]:
    """All of a record but its key and value, and the code over everything."""
    queue = record.queue
    values = (
        f"{record.source}/{queue.topic}/{queue.partition}/{record.position}",
        queue.node,
        record.peer or "",
        "" if record.after is None else str(record.after),
        str(record.written_at),
        str(record.nonce),
    )
    headers = [(name, value.encode()) for name, value in zip(_HEADERS, values, strict=True)]
    code = code_of(key, record.target, headers, record.key.encode(), record.value)
    return [*headers, (_CODE, code)]


def code_of(
    key: bytes, number: int, headers: Sequence[tuple[str, bytes]], name: bytes, value: bytes
) -> bytes:
    """HMAC-SHA-256 over the target, the headers, the key and the value, each with its length."""
    code = hmac.new(key, b"cordbox work %d\n" % number, "sha256")
    for part in (*(value for _, value in headers), name, value):
        code.update(len(part).to_bytes(8, "big"))
        code.update(part)
    return code.digest()


def read_record(
    message: Message, place: TopicPartition, *, number: int, key: bytes
) -> Carried | None:
    """The record of a message; None if no host of the cluster has sent it, or not to this place."""
    name, value = _bytes(message.key()), _bytes(message.value())
    told = dict(message.headers() or ())
    headers = [(each, _bytes(told.get(each))) for each in _HEADERS]
    code = code_of(key, number, headers, name, value)
    if not hmac.compare_digest(code, _bytes(told.get(_CODE))):
        return None
    identity, node, peer, after, written_at, nonce = (found.decode() for _, found in headers)
    source, topic, partition, position = identity.split("/")
    if (topic, int(partition)) != (place.topic, place.partition):
        return None
    return Carried(
        source=source,
        target=number,
        queue=WorkQueue(topic, int(partition), ShortHash(node)),
        position=int(position),
        nonce=int(nonce),
        after=int(after) if after else None,
        key=name.decode(),
        value=value,
        peer=ShortHash(peer) if peer else None,
        written_at=EpochMs(int(written_at)),
    )


def _bytes(found: object) -> bytes:
    return found if isinstance(found, bytes) else b""
