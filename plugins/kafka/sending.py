"""A producer of one thread: acknowledged by all replicas in sync, each partition in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, Message, Producer

from host.domain.errors import HostError
from host.ports.bus import TopicPartition
from plugins.kafka.client import (
    ANSWER_SECONDS_MAX,
    BrokerUnavailableError,
    ClientSettings,
    error_of,
)

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
class Sending:
    """A call that sends records: what is known of them so far, by their partition in the store."""

    failed: dict[TopicPartition, HostError] = field(default_factory=dict)
    open: dict[TopicPartition, int] = field(default_factory=dict)

    def answered(self, source: TopicPartition, error: KafkaError | None) -> None:
        """The broker has answered a record, or it was given up."""
        self.open[source] -= 1
        if error is not None:
            self.failed.setdefault(source, error_of(error, f"a record of {source.topic}"))


class RecordSender:
    """Makes its producer anew after a failure: what it still held is dropped.

    Args:
        client: how to connect.
    """

    def __init__(self, client: ClientSettings) -> None:
        self._client = {**client, **_PRODUCER}
        self._producer: Producer | None = None
        self._causes: set[str] = set()

    def send(  # what a record has
        self,
        source: TopicPartition,
        sending: Sending,
        *,
        topic: str,
        partition: int,
        key: str,
        value: bytes,
        headers: Sequence[tuple[str, bytes]],
    ) -> None:
        """Queue a record, of which `sending` is told as one of `source`.

        Raises:
            KafkaException: it cannot be sent.
        """
        sending.open.setdefault(source, 0)

        def answered(error: KafkaError | None, _message: Message) -> None:
            sending.answered(source, error)

        self.producer().produce(
            topic,
            value=value,
            key=key.encode(),
            partition=partition,
            headers=list(headers),
            on_delivery=answered,
        )
        sending.open[source] += 1

    def finished(self, sending: Sending) -> Mapping[TopicPartition, HostError]:
        """Wait for the answers of all records; those of which a record may not have arrived."""
        self.producer().flush(ANSWER_SECONDS_MAX + 1)
        for source, count in sending.open.items():
            if count:
                sending.failed.setdefault(
                    source, BrokerUnavailableError("Kafka did not acknowledge records in time")
                )
        if sending.failed:
            self.forget()
        return sending.failed

    def away(self) -> BrokerUnavailableError:
        """No broker answers: why, as far as it is known. What was not sent is dropped."""
        self.producer().poll(0)  # calls the handler of errors with why connections failed
        cause = ", ".join(sorted(self._causes)) or "no broker answers"
        self.forget()
        return BrokerUnavailableError(f"Kafka cannot be reached: {cause}")

    def producer(self) -> Producer:
        """The producer of the moment."""
        if self._producer is None:
            self._producer = Producer({**self._client, "error_cb": self._heard})
        return self._producer

    def forget(self) -> None:
        """Drop the producer, with what it has not sent."""
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(0)
        self._producer = None
        self._causes.clear()

    def _heard(self, failed: KafkaError) -> None:
        """A connection failed; without a cause below, brokers are only away."""
        if failed.code() in _CAUSES:
            self._causes.add(_CAUSES[failed.code()])
