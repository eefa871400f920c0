"""Settings of the plugin: safe by default, secrets from files, refused where they contradict each other."""

from pathlib import Path
from typing import Any

import pytest

from host.domain.workers import WorkerKind
from host.settings.errors import SettingsInvalidError
from plugins.kafka.settings import KafkaSettings
from tests.support.hosts import settings_of

pytest.importorskip("confluent_kafka")

SERVERS = "broker-1:9093,broker-2:9093"


def client(tmp_path: Path, **given: Any) -> dict[str, object]:
    from plugins.kafka.client import client_of

    settings = settings_of(
        tmp_path, plugins=("embedded", "kafka"), kafka_bootstrap_servers=SERVERS, **given
    )
    return dict(client_of(settings.plugin(KafkaSettings)))


def test_tls_with_checked_names_is_the_default(tmp_path: Path) -> None:
    found = client(tmp_path)
    assert found["bootstrap.servers"] == SERVERS
    assert found["security.protocol"] == "SSL"
    assert found["ssl.endpoint.identification.algorithm"] == "https"


def test_passwords_are_read_from_their_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "password").chmod(0o600)
    found = client(
        tmp_path,
        kafka_sasl_mechanism="SCRAM-SHA-512",
        kafka_user="cordbox",
        kafka_password_file=tmp_path / "password",
    )
    assert found["security.protocol"] == "SASL_SSL"
    assert found["sasl.password"] == "secret"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"kafka_certificate_file": "c.pem"}, "kafka_private_key_file"),
        ({"kafka_user": "me"}, "kafka_password_file"),
        ({"kafka_tls": False, "kafka_ca_file": "ca.pem"}, "kafka_tls is off"),
        (
            {
                "kafka_tls": False,
                "kafka_sasl_mechanism": "PLAIN",
                "kafka_user": "me",
                "kafka_password_file": "f",
            },
            "readably",
        ),
        ({"kafka_bootstrap_servers": "no port"}, "kafka_bootstrap_servers"),
        ({"kafka_topic_prefix": "a/b"}, "kafka_topic_prefix"),
    ],
)
def test_contradictions_are_refused(given: dict[str, Any], named: str, tmp_path: Path) -> None:
    values = {"kafka_bootstrap_servers": SERVERS} | given
    with pytest.raises(SettingsInvalidError, match=named):
        settings_of(tmp_path, plugins=("embedded", "kafka"), **values).plugin(KafkaSettings)


def test_a_host_with_the_plugin_has_one_relay(tmp_path: Path) -> None:
    def counts(workers: str, *plugins: str) -> dict[WorkerKind, int]:
        given = {"kafka_bootstrap_servers": SERVERS} if "kafka" in plugins else {}
        settings = settings_of(tmp_path, workers=workers, plugins=("embedded", *plugins), **given)
        return dict(settings.worker_plan.counts)

    assert counts("flow=1", "kafka")[WorkerKind.RELAY] == 1
    assert WorkerKind.RELAY not in counts("flow=1")
    assert counts("combined", "kafka") == {}
    with pytest.raises(SettingsInvalidError, match="exactly one relay"):
        counts("relay=2", "kafka")
    with pytest.raises(SettingsInvalidError, match="no plugin for a broker"):
        counts("relay")
