"""Sends records of logs to Kafka, for other systems."""

from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaException

from host.domain.errors import HostError
from host.ports.bus import Record, TopicPartition
from plugins.kafka.client import (
    ANSWER_SECONDS_MAX,
    BrokerRefusedError,
    BrokerUnavailableError,
    ClientSettings,
    error_of,
)
from plugins.kafka.sending import RecordSender, Sending

ID_HEADER = "cordbox-id"
TIME_HEADER = "cordbox-written-at"


class KafkaBroker:
    """The port `OutwardBroker`.

    Args:
        client: how to connect.
        prefix: what the name of each topic begins with.
        store_id: first part of each record's id.
    """

    def __init__(self, client: ClientSettings, *, prefix: str, store_id: str) -> None:
        self._sender = RecordSender(client)
        self._prefix = prefix
        self._store_id = store_id
        self._partitions: dict[str, int] = {}

    def deliver(self, batches: Sequence[Sequence[Record]]) -> Mapping[TopicPartition, HostError]:
        """See `OutwardBroker.deliver`; it takes some seconds if no broker answers."""
        sending = Sending()
        for batch in batches:
            source = batch[0].source
            try:
                self._send(batch, self._count(source.topic), sending)
            except KafkaException as failed:
                error = failed.args[0]
                sending.failed[source] = error_of(error, f"records of {source.topic}")
                if isinstance(sending.failed[source], BrokerUnavailableError):
                    return self._given_up(batches, sending)
        failures = self._sender.finished(sending)
        if failures:
            self._partitions.clear()
        return failures

    def close(self) -> None:
        self._sender.forget()

    def _send(self, batch: Sequence[Record], count: int, sending: Sending) -> None:
        """Queue the records of a batch; those behind a refused one are not sent."""
        source = batch[0].source
        for record in batch:
            place = f"{source.topic}/{source.partition}/{record.offset}"
            self._sender.send(
                source,
                sending,
                topic=self._prefix + source.topic,
                partition=source.partition % count,
                key=record.key,
                value=record.value,
                headers=[
                    (ID_HEADER, f"{self._store_id}/{place}".encode()),
                    (TIME_HEADER, str(record.written_at).encode()),
                ],
            )

    def _count(self, topic: str) -> int:
        """Partitions that the broker has of a topic.

        Raises:
            KafkaException: it has no such topic, or does not answer.
        """
        if topic not in self._partitions:
            name = self._prefix + topic
            asked = self._sender.producer().list_topics(name, timeout=ANSWER_SECONDS_MAX)
            found = asked.topics[name]
            if found.error is not None:
                raise KafkaException(found.error)
            self._partitions[topic] = len(found.partitions)
        return self._partitions[topic]

    def _given_up(
        self, batches: Sequence[Sequence[Record]], sending: Sending
    ) -> Mapping[TopicPartition, HostError]:
        """No broker answers: nothing is known of any of the batches."""
        away = self._sender.away()
        self._partitions.clear()
        refused = {s: e for s, e in sending.failed.items() if isinstance(e, BrokerRefusedError)}
        return {batch[0].source: refused.get(batch[0].source, away) for batch in batches}
