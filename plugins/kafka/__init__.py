"""Topics on Apache Kafka: external messages, dead letters, statuses of flows; work (`bus = kafka`).

Needs the extra `kafka`, and is loaded by `plugins`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from host.runtime.hookspecs import hookimpl

if TYPE_CHECKING:
    from host.ports.carriage import WorkBroker
    from host.ports.outward import BrokerTopics, OutwardBroker
    from host.settings import HostSettings
    from host.settings.plugged import PluginSettings

# The client of these imports is an extra, and large: every process of a host loads this module.


@hookimpl
def register_settings() -> PluginSettings:
    """The settings `kafka_…`."""
    from host.settings.plugged import PluginSettings  # noqa: PLC0415  # see above
    from plugins.kafka.settings import KafkaSettings  # noqa: PLC0415  # see above

    return PluginSettings(bootstrap=KafkaSettings)


@hookimpl
def register_broker(settings: HostSettings, store_id: str) -> OutwardBroker:
    """The brokers that `kafka_bootstrap_servers` names."""
    from plugins.kafka.client import client_of  # noqa: PLC0415  # see above
    from plugins.kafka.producer import KafkaBroker  # noqa: PLC0415  # see above
    from plugins.kafka.settings import KafkaSettings  # noqa: PLC0415  # see above

    own = settings.plugin(KafkaSettings)
    return KafkaBroker(client_of(own), prefix=own.kafka_topic_prefix, store_id=store_id)


@hookimpl
def register_work_broker(settings: HostSettings, number: int, key: bytes) -> WorkBroker:
    """The same brokers, for the work of a cluster."""
    from plugins.kafka.client import client_of  # noqa: PLC0415  # see above
    from plugins.kafka.settings import KafkaSettings  # noqa: PLC0415  # see above
    from plugins.kafka.work import KafkaWork  # noqa: PLC0415  # see above

    own = settings.plugin(KafkaSettings)
    return KafkaWork(client_of(own), prefix=own.kafka_topic_prefix, number=number, key=key)


@hookimpl
def register_broker_topics(settings: HostSettings) -> BrokerTopics:
    """Their topics."""
    from plugins.kafka.settings import KafkaSettings  # noqa: PLC0415  # see above
    from plugins.kafka.topics import KafkaTopics  # noqa: PLC0415  # see above

    return KafkaTopics(settings.plugin(KafkaSettings), carries_work=settings.bus == "kafka")
