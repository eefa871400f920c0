"""A store whose work a real broker carries, and which waits until what is committed has landed."""

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from host.adapters.os.system import SystemClock
from host.domain.errors import HostError
from host.network.carriage.lander import Lander
from host.network.carriage.sender import WINDOW, Sender
from host.ports.bus import CommitListener, Committed, TopicPartition
from host.ports.units import Unit
from host.ports.work import Done
from plugins.kafka.client import client_of
from plugins.kafka.settings import KafkaSettings
from plugins.kafka.topics import KafkaTopics
from plugins.kafka.work import KafkaWork, topic_of
from plugins.postgres.carrying_store import CarryingStore
from tests.support.kafka import KafkaServer

_ROUNDS_MAX = 200
_PARTITIONS = 32


def settings_of(server: KafkaServer, prefix: str = "") -> KafkaSettings:
    return KafkaSettings(
        kafka_bootstrap_servers=server.address, kafka_tls=False, kafka_topic_prefix=prefix
    )


class WorkTopics:
    """Topics of the work of hosts with `bus = kafka`, under a prefix of their own.

    Attributes:
        environment: variables of the hosts.
    """

    def __init__(self, server: KafkaServer, partitions: int) -> None:
        prefix = f"{uuid.uuid4().hex[:8]}."
        self._settings = settings_of(server, prefix)
        self._partitions = partitions
        self.environment = {
            "CORDBOX_BUS": "kafka",
            "CORDBOX_PLUGINS": "embedded,kafka",
            "CORDBOX_KAFKA_BOOTSTRAP_SERVERS": server.address,
            "CORDBOX_KAFKA_TLS": "false",
            "CORDBOX_KAFKA_TOPIC_PREFIX": prefix,
        }
        self.make()

    def make(self) -> None:
        """Make those that are missing."""
        topics = KafkaTopics(self._settings, carries_work=True)
        topics.create(topics.wanted((), partitions=1, replicas=1, work_partitions=self._partitions))


class Seen:
    """An observer that counts."""

    def __init__(self) -> None:
        self.sent_records = self.landed_records = 0
        self.left_records: dict[str, int] = {}
        self.refusals: list[str] = []

    def sent(self, records: int) -> None:
        self.sent_records += records

    def waits(self, failed: Mapping[TopicPartition, HostError]) -> None:
        self.refusals += [f"{p.topic}-{p.partition}: {e.code}" for p, e in failed.items()]

    def landed(self, records: int) -> None:
        self.landed_records += records

    def left(self, verdict: str, records: int) -> None:
        self.left_records[verdict] = self.left_records.get(verdict, 0) + records


class Carriage:
    """Senders and landers of one or several stores, driven by the test.

    Args:
        server: the broker.
        prefix: of its topics, which are made as they are needed.
        stores: in the order of their numbers.
    """

    def __init__(self, server: KafkaServer, prefix: str, *stores: CarryingStore) -> None:
        self.seen = Seen()
        self._topics = KafkaTopics(settings_of(server, prefix))
        self._prefix = prefix
        self._known: list[str] = []
        self._stores = stores
        self._brokers = []
        self.senders, self.landers = [], []
        sources = {store.store_id: store for store in stores}
        for number, store in enumerate(stores):
            broker = KafkaWork(
                client_of(settings_of(server)),
                prefix=prefix,
                number=number,
                key=stores[0].carriage_key,
            )
            self._brokers.append(broker)
            self.senders.append(Sender(store, broker, SystemClock(), self.seen))
            self.landers.append(
                Lander(store, sources, broker, self._known, SystemClock(), self.seen)
            )
            self.own(range(store.partitions))

    def own(self, partitions: Any) -> None:
        """Carry these partitions from now on, and read from where their state says."""
        for each in (*self.senders, *self.landers):
            each.adopt({})
            each.adopt(dict.fromkeys(partitions))

    def know(self, topics: set[str]) -> None:
        """Make topics that are not known yet."""
        new = sorted(topics.difference(self._known))
        if not new:
            return
        like = self._topics.wanted((), partitions=_PARTITIONS, replicas=1)[0]
        self._topics.create(
            [
                replace(like, name=self._prefix + topic_of(topic, number))
                for topic in new
                for number in range(len(self._stores))
            ]
        )
        self._known.extend(new)
        self.own(range(self._stores[0].partitions))

    def forget_topics(self) -> None:
        """The broker has lost them."""
        self._known.clear()

    def carry(self) -> None:
        """Send and land until no outbox has anything."""
        for _ in range(_ROUNDS_MAX):
            if not any(s.unlanded(range(s.partitions), WINDOW) for s in self._stores):
                return
            for sender in self.senders:
                sender.work()
            for lander in self.landers:
                lander.work()
        raise AssertionError(
            f"work did not land: {self.seen.refusals[:5]} {self.seen.left_records}"
        )

    def close(self) -> None:
        for broker in self._brokers:
            broker.close()


class SettledStore(CarryingStore):
    """As the contract of stores expects: when a commit returns, its work is in its queues."""

    carriage: Carriage

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._carrying = threading.Lock()
        self._told: list[Committed] | None = None
        self._listeners: list[CommitListener] = []
        super().on_commit(self._heard)

    def commit(self, unit: Unit) -> None:
        topics = {record.topic for record in unit.records if record.node is not None}
        if not topics:
            return super().commit(unit)
        with self._carrying:
            self.carriage.know(topics)
            self._told = []
            try:
                super().commit(unit)
                self.carriage.carry()
            finally:
                told, self._told = self._told, None
        self._tell(told, leaving=topics)
        return None

    def on_commit(self, listener: CommitListener) -> None:
        self._listeners.append(listener)

    def close(self) -> None:
        self.carriage.close()
        super().close()

    def _heard(self, committed: Committed) -> None:
        if self._told is None:
            self._tell([committed], leaving=set())
        else:
            self._told.append(committed)

    def _tell(self, told: list[Committed], *, leaving: set[str]) -> None:
        """One notification for a commit, without that of the outbox."""
        logs = {place for each in told for place in each.logs if place.topic not in leaving}
        work = {queue for each in told for queue in each.work}
        due = {place: at for each in told for place, at in each.due.items()}
        found = Committed(logs=frozenset(logs), work=frozenset(work), due=due)
        for listener in self._listeners if found else ():
            listener(found)


Opened = Callable[..., SettledStore]
__all__ = ["Carriage", "Done", "Opened", "Seen", "SettledStore", "settings_of"]
