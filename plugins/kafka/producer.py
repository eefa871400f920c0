"""Sends records to Kafka: acknowledged by all replicas in sync, in the order of each partition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from host.domain.errors import HostError
from host.ports.bus import Record, TopicPartition
from plugins.kafka.client import (
    ANSWER_SECONDS_MAX,
    BrokerRefusedError,
    BrokerUnavailableError,
    ClientSettings,
    error_of,
)

ID_HEADER = "cordbox-id"
TIME_HEADER = "cordbox-written-at"
_PRODUCER: ClientSettings = {
    "acks": "all",
    "enable.idempotence": True,
    "delivery.timeout.ms": ANSWER_SECONDS_MAX * 1000,
    "request.timeout.ms": ANSWER_SECONDS_MAX * 500,
    "linger.ms": 0,  # batches are complete when they are sent
    "message.max.bytes": 16 * 1024 * 1024,  # the brokers and their topics have limits of their own
    "queue.buffering.max.kbytes": 64 * 1024,
    "compression.type": "lz4",
}


_CAUSES = {
    KafkaError._AUTHENTICATION: "the user or its password is refused",  # noqa: SLF001  # public
    KafkaError._RESOLVE: "a broker's name is unknown",  # noqa: SLF001
    KafkaError._SSL: "TLS fails: see the brokers' names, and kafka_ca_file",  # noqa: SLF001
}
"""What an operator has to mend, by the client's code."""


@dataclass(slots=True)
class _Sending:
    """A call of `deliver`: what is known of its records so far."""

    failed: dict[TopicPartition, HostError] = field(default_factory=dict)
    open: dict[TopicPartition, int] = field(default_factory=dict)

    def answered(self, source: TopicPartition, error: KafkaError | None) -> None:
        self.open[source] -= 1
        if error is not None:
            self.failed.setdefault(source, error_of(error, f"a record of {source.topic}"))


class KafkaBroker:
    """A producer of one thread, which is made anew after a failure: what it still held is dropped.

    Args:
        client: how to connect.
        prefix: what the name of each topic begins with.
        store_id: first part of each record's id.
    """

    def __init__(self, client: ClientSettings, *, prefix: str, store_id: str) -> None:
        self._client = {**client, **_PRODUCER}
        self._prefix = prefix
        self._store_id = store_id
        self._producer: Producer | None = None
        self._partitions: dict[str, int] = {}
        self._causes: set[str] = set()

    def deliver(self, batches: Sequence[Sequence[Record]]) -> Mapping[TopicPartition, HostError]:
        """See `OutwardBroker.deliver`; it takes some seconds if no broker answers."""
        sending = _Sending()
        for batch in batches:
            source = batch[0].source
            try:
                self._send(batch, self._count(source.topic), sending)
            except KafkaException as failed:
                error = failed.args[0]
                sending.failed[source] = error_of(error, f"records of {source.topic}")
                if isinstance(sending.failed[source], BrokerUnavailableError):
                    return self._given_up(batches, sending)
        self._made().flush(ANSWER_SECONDS_MAX + 1)
        for source, count in sending.open.items():
            if count:
                sending.failed.setdefault(
                    source, BrokerUnavailableError("Kafka did not acknowledge records in time")
                )
        if sending.failed:
            self._forget()
        return sending.failed

    def close(self) -> None:
        self._forget()

    def _send(self, batch: Sequence[Record], count: int, sending: _Sending) -> None:
        """Queue the records of a batch; those behind a refused one are not sent."""
        source, producer = batch[0].source, self._made()
        sending.open[source] = 0

        def answered(error: KafkaError | None, _message: Message) -> None:
            sending.answered(source, error)

        for record in batch:
            place = f"{source.topic}/{source.partition}/{record.offset}"
            producer.produce(
                self._prefix + source.topic,
                value=record.value,
                key=record.key.encode(),
                partition=source.partition % count,
                headers=[
                    (ID_HEADER, f"{self._store_id}/{place}".encode()),
                    (TIME_HEADER, str(record.written_at).encode()),
                ],
                on_delivery=answered,
            )
            sending.open[source] += 1

    def _count(self, topic: str) -> int:
        """Partitions that the broker has of a topic.

        Raises:
            KafkaException: it has no such topic, or does not answer.
        """
        if topic not in self._partitions:
            name = self._prefix + topic
            found = self._made().list_topics(name, timeout=ANSWER_SECONDS_MAX).topics[name]
            if found.error is not None:
                raise KafkaException(found.error)
            self._partitions[topic] = len(found.partitions)
        return self._partitions[topic]

    def _given_up(
        self, batches: Sequence[Sequence[Record]], sending: _Sending
    ) -> Mapping[TopicPartition, HostError]:
        """No broker answers: nothing is known of any of the batches."""
        self._made().poll(0)  # hears why connections failed
        cause = ", ".join(sorted(self._causes)) or "no broker answers"
        self._forget()
        away = BrokerUnavailableError(f"Kafka cannot be reached: {cause}")
        refused = {s: e for s, e in sending.failed.items() if isinstance(e, BrokerRefusedError)}
        return {batch[0].source: refused.get(batch[0].source, away) for batch in batches}

    def _heard(self, failed: KafkaError) -> None:
        """A connection failed; without a cause below, brokers are only away."""
        if failed.code() in _CAUSES:
            self._causes.add(_CAUSES[failed.code()])

    def _made(self) -> Producer:
        if self._producer is None:
            self._producer = Producer({**self._client, "error_cb": self._heard})
        return self._producer

    def _forget(self) -> None:
        """Drop the producer, with what it has not sent, and what is known of topics."""
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(0)
        self._producer = None
        self._partitions.clear()
        self._causes.clear()
