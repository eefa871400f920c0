"""The outward topics on the brokers: which there should be, and whether they suit."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from host.domain.errors import InvalidInputError
from host.flow.core.messages import DEAD_LETTER_TOPIC
from host.network.carriage.workers import CARRIED_TOPICS
from host.ports.outward import EXTERNAL_PREFIX, STATUS_TOPIC, FoundTopic, WantedTopic
from plugins.kafka.client import (
    ANSWER_SECONDS_MAX,
    BrokerUnavailableError,
    client_of,
    error_of,
)
from plugins.kafka.settings import KafkaSettings

RECORD_BYTES_MAX = 9 * 1024 * 1024
"""The largest message on the bus (`corda.messaging.maxAllowedMessageSize`) and its envelope."""
_DEAD_LETTERS_MS = 7 * 86_400_000
_WORK_MS = 2 * 86_400_000
"""What has not landed by then is sent again."""
_EXTERNAL = re.compile(r"ext\.[-._A-Za-z0-9]{1,200}")
_NAME_CHARACTERS_MAX = 249


class TopicNameError(InvalidInputError):
    """A name that no topic of external messages can have."""

    code = "topic-name-invalid"


class KafkaTopics:
    """The topics of the brokers that the settings name; secrets are read when they are asked.

    Args:
        settings: which brokers.
        carries_work: whether topics of work are among them (`bus = kafka`).
    """

    def __init__(self, settings: KafkaSettings, *, carries_work: bool = False) -> None:
        self._settings = settings
        self._carried = CARRIED_TOPICS if carries_work else ()
        self._prefix = settings.kafka_topic_prefix

    @cached_property
    def _admin(self) -> AdminClient:
        return AdminClient({**client_of(self._settings)})

    def wanted(
        self, external: Sequence[str], *, partitions: int, replicas: int, work_partitions: int = 0
    ) -> Sequence[WantedTopic]:
        for name in external:
            if not _EXTERNAL.fullmatch(name) or len(self._prefix + name) > _NAME_CHARACTERS_MAX:
                raise TopicNameError(
                    f"topic {name!r}: expected {EXTERNAL_PREFIX} and letters, digits, '.', '_', '-'"
                )
        outward = [
            WantedTopic(
                name=self._prefix + name,
                partitions=partitions,
                replicas=replicas,
                is_compacted=name == STATUS_TOPIC,
                retention_ms=_DEAD_LETTERS_MS if name == DEAD_LETTER_TOPIC else None,
                record_bytes_max=RECORD_BYTES_MAX,
            )
            for name in (DEAD_LETTER_TOPIC, STATUS_TOPIC, *dict.fromkeys(external))
        ]
        work = [
            WantedTopic(
                name=self._prefix + name,
                partitions=work_partitions,
                replicas=replicas,
                is_compacted=False,
                retention_ms=_WORK_MS,
                record_bytes_max=RECORD_BYTES_MAX,
                is_work=True,
            )
            for name in self._carried
        ]
        return [*outward, *work]

    def create(self, topics: Sequence[WantedTopic]) -> Sequence[str]:
        made = []
        asked = [
            NewTopic(
                each.name,
                num_partitions=each.partitions,
                replication_factor=each.replicas,
                config=_config(each),
            )
            for each in topics
        ]
        answers = self._admin.create_topics(
            asked, request_timeout=ANSWER_SECONDS_MAX, operation_timeout=ANSWER_SECONDS_MAX
        )
        forms = {each.name: f"topic {_form(each)}" for each in topics}
        for name, answer in answers.items():
            try:
                answer.result()
            except KafkaException as failed:
                error = failed.args[0]
                if error.code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise error_of(error, forms[name]) from failed
            else:
                made.append(name)
        self._wait_for(made)
        return made

    def _wait_for(self, made: Sequence[str]) -> None:
        """The controller has made them; the brokers hear of it a little later."""
        end = time.monotonic() + ANSWER_SECONDS_MAX
        while not set(made) <= self._admin.list_topics(timeout=ANSWER_SECONDS_MAX).topics.keys():
            if time.monotonic() > end:
                raise BrokerUnavailableError("Kafka has made topics, but does not show them")
            time.sleep(0.05)

    def check(self, topics: Sequence[WantedTopic]) -> Sequence[FoundTopic]:
        try:
            there = self._admin.list_topics(timeout=ANSWER_SECONDS_MAX).topics
            exist = [each for each in topics if each.name in there]
            values = self._values([each.name for each in exist])
        except KafkaException as failed:
            asked = f"a question about topics at {self._settings.kafka_bootstrap_servers}"
            raise error_of(failed.args[0], asked) from failed
        return [
            FoundTopic(
                name=each.name,
                exists=each in exist,
                faults=tuple(_faults(each, there[each.name].partitions, values[each.name]))
                if each in exist
                else (),
            )
            for each in topics
        ]

    def _values(self, names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """The configuration in force of each topic."""
        asked = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        if not asked:
            return {}
        answers = self._admin.describe_configs(asked, request_timeout=ANSWER_SECONDS_MAX)
        return {
            resource.name: {key: entry.value or "" for key, entry in answer.result().items()}
            for resource, answer in answers.items()
        }


def _form(topic: WantedTopic) -> str:
    """A topic as it was asked for."""
    return f"{topic.name} with {topic.partitions} partitions and {topic.replicas} replicas"


def _config(topic: WantedTopic) -> dict[str, str]:
    found = {
        "cleanup.policy": "compact" if topic.is_compacted else "delete",
        "max.message.bytes": str(topic.record_bytes_max),
        "min.insync.replicas": str(min(2, topic.replicas)),
    }
    if topic.retention_ms is not None:
        found["retention.ms"] = str(topic.retention_ms)
    return found


def _faults(
    topic: WantedTopic, partitions: Mapping[int, object], values: Mapping[str, str]
) -> Iterator[str]:
    """What would lose, refuse or disorder records."""
    policy = values.get("cleanup.policy", "")
    if not topic.is_compacted and "compact" in policy:
        yield f"cleanup.policy is {policy}: older records of a flow would be removed"
    if int(values.get("max.message.bytes", topic.record_bytes_max)) < topic.record_bytes_max:
        yield (
            f"max.message.bytes is {values['max.message.bytes']}, records have up to"
            f" {topic.record_bytes_max}"
        )
    if topic.is_work and len(partitions) < topic.partitions:
        yield f"it has {len(partitions)} partitions, the database has {topic.partitions}"
    replicas = {len(getattr(each, "replicas", ())) for each in partitions.values()}
    least = min(replicas, default=0)
    if least < topic.replicas:
        yield f"it has {least} replicas, expected {topic.replicas}"
    needed = int(values.get("min.insync.replicas", "1"))
    if needed < min(2, topic.replicas):
        yield f"min.insync.replicas is {needed}: one broker that is lost takes records with it"
    if values.get("unclean.leader.election.enable") == "true":
        yield "unclean.leader.election.enable is true: acknowledged records may be lost"
