"""The settings of the plugin. Pure."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from host.settings.errors import SettingsInvalidError


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """Bootstrap settings: which brokers, and how they are connected to."""

    kafka_bootstrap_servers: Annotated[
        str,
        Meta(
            pattern=r"^[-._A-Za-z0-9\[\]:]+:[0-9]{1,5}(?:,[-._A-Za-z0-9\[\]:]+:[0-9]{1,5})*$",
            max_length=2000,
            description="Kafka brokers to begin with, `host:port`, divided by commas.",
        ),
    ]
    kafka_topic_prefix: Annotated[
        str,
        Meta(
            pattern=r"^[-._A-Za-z0-9]*$",
            max_length=100,
            description="What the name of each topic begins with (Corda's `-t`), so that several"
            " clusters may share the brokers.",
        ),
    ] = ""
    kafka_tls: Annotated[
        bool,
        Meta(
            description="Whether brokers are connected to over TLS; their certificates are checked"
            " with their names. Without it everything is readable on the way, so only on one"
            " machine or in a network of their own."
        ),
    ] = True
    kafka_ca_file: Annotated[
        Path | None,
        Meta(
            description="PEM certificates of the authorities that issued the brokers'; without it,"
            " those of the system."
        ),
    ] = None
    kafka_certificate_file: Annotated[
        Path | None,
        Meta(description="PEM certificate chain by which this host names itself to the brokers."),
    ] = None
    kafka_private_key_file: Annotated[
        Path | None, Meta(description="PEM private key of `kafka_certificate_file`.")
    ] = None
    kafka_sasl_mechanism: Annotated[
        Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] | None,
        Meta(
            description="How `kafka_user` proves its password to the brokers; `PLAIN` sends it to"
            " them, and needs TLS."
        ),
    ] = None
    kafka_user: Annotated[
        Annotated[str, Meta(max_length=200)] | None, Meta(description="User of the brokers.")
    ] = None
    kafka_password_file: Annotated[
        Path | None, Meta(description="File whose first line is the password of `kafka_user`.")
    ] = None

    def __post_init__(self) -> None:
        """Refuse combinations that do not make sense, or that show a secret."""
        if (self.kafka_certificate_file is None) != (self.kafka_private_key_file is None):
            raise SettingsInvalidError(
                "kafka_certificate_file and kafka_private_key_file must be given together"
            )
        sasl = (self.kafka_sasl_mechanism, self.kafka_user, self.kafka_password_file)
        if any(each is None for each in sasl) and any(each is not None for each in sasl):
            raise SettingsInvalidError(
                "kafka_sasl_mechanism, kafka_user and kafka_password_file must be given together"
            )
        if self.kafka_tls:
            return
        if self.kafka_sasl_mechanism == "PLAIN":
            raise SettingsInvalidError(
                "kafka_sasl_mechanism: PLAIN would send the password readably: kafka_tls is off"
            )
        if self.kafka_ca_file is not None or self.kafka_certificate_file is not None:
            raise SettingsInvalidError(
                "kafka_tls is off: kafka_ca_file and kafka_certificate_file have no use"
            )
