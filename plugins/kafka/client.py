"""Settings as the Kafka client takes them, and its errors as the host's."""

from collections.abc import Mapping
from typing import TypeAlias

from confluent_kafka import KafkaError

from host.adapters.files.secret_files import read_secret
from host.domain.errors import HostError, UnavailableError
from plugins.kafka.settings import KafkaSettings

ClientSettings: TypeAlias = Mapping[str, str | int | bool]
ANSWER_SECONDS_MAX = 8
"""How long brokers are waited for: less than a member of a group may be silent."""


class BrokerUnavailableError(UnavailableError):
    """The Kafka brokers cannot be reached, or do not answer in time; nothing is lost meanwhile."""

    code = "broker-unavailable"


class BrokerRefusedError(HostError):
    """The Kafka brokers refuse a record or a request; it is tried again, but must be mended."""

    code = "broker-refused"


_AWAY = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001  # public names of the client
        KafkaError._MSG_TIMED_OUT,  # noqa: SLF001
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._RESOLVE,  # noqa: SLF001
        KafkaError._PURGE_QUEUE,  # noqa: SLF001
        KafkaError._PURGE_INFLIGHT,  # noqa: SLF001
        KafkaError._DESTROY,  # noqa: SLF001
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
    }
)


def client_of(settings: KafkaSettings) -> ClientSettings:
    """The client's configuration.

    Raises:
        StorageError: the file of the password cannot be read.
    """
    sasl = settings.kafka_sasl_mechanism
    security = ("SASL_" if sasl else "") + ("SSL" if settings.kafka_tls else "PLAINTEXT")
    found: dict[str, str | int | bool] = {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "client.id": "cordbox",
        "security.protocol": security,
        "socket.timeout.ms": ANSWER_SECONDS_MAX * 1000,
        "reconnect.backoff.max.ms": 2_000,
        "log_level": 0,  # what fails is told by the errors
    }
    if settings.kafka_tls:
        found["ssl.endpoint.identification.algorithm"] = "https"
        if settings.kafka_ca_file is not None:
            found["ssl.ca.location"] = str(settings.kafka_ca_file)
    if settings.kafka_certificate_file is not None:
        found["ssl.certificate.location"] = str(settings.kafka_certificate_file)
        found["ssl.key.location"] = str(settings.kafka_private_key_file)
    if sasl and settings.kafka_user and settings.kafka_password_file:
        found |= {
            "sasl.mechanism": sasl,
            "sasl.username": settings.kafka_user,
            "sasl.password": read_secret(settings.kafka_password_file),
        }
    return found


def error_of(failed: KafkaError, what: str) -> HostError:
    """The host's error for one of the client; its message is the same each time."""
    if failed.code() in _AWAY:
        return BrokerUnavailableError(f"Kafka did not acknowledge {what}: {failed.name()}")
    return BrokerRefusedError(f"Kafka refuses {what}: {failed.name()}")
