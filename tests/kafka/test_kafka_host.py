"""A whole host with a relay: what its store has leaves, and `/status` tells what waits."""

import json
from pathlib import Path

from starlette.testclient import TestClient

from host.domain.ids import ShortHash
from host.ports.bus import NewRecord
from host.ports.units import Unit
from tests.kafka.reading import read_all
from tests.kafka.test_kafka_relay import make_topics
from tests.support.hosts import polled, running_host
from tests.support.kafka import KafkaServer

ALICE = ShortHash("A1B2C3D4E5F6")
ORDERS = f"ext.{ALICE}.orders.receive"


def test_a_host_sends_and_tells_what_waits(kafka_server: KafkaServer, tmp_path: Path) -> None:
    make_topics(kafka_server, "host.")
    host = running_host(
        tmp_path,
        password="secret",
        workers="combined",
        plugins=("embedded", "kafka"),
        kafka_bootstrap_servers=kafka_server.address,
        kafka_tls=False,
        kafka_topic_prefix="host.",
    )
    with host as rest, TestClient(rest.asgi) as client:
        records = [
            NewRecord(topic=topic, key="k", value=b"{}", owner=ALICE)
            for topic in ("flow.status", ORDERS)
        ]
        rest.services.flows._store.commit(Unit(records=tuple(records)))

        waiting = polled(client, "/status", lambda seen: "warnings" in seen)
        (warning,) = waiting["warnings"]
        assert waiting["status"] == "OK", "a restart would mend nothing"
        assert warning["code"] == "relay-waits"
        assert f"UNKNOWN_TOPIC_OR_PART (broker-refused); {ORDERS}-" in warning["message"]
        metrics = client.get("/metrics").text
        assert 'cordbox_relay_unsent_records{topic="ext"} 1.0' in metrics
        assert 'cordbox_relay_records_total{topic="flow.status"} 1.0' in metrics
        assert "cordbox_relay_blocked_partitions 1.0" in metrics

        make_topics(kafka_server, "host.", ORDERS)
        polled(client, "/status", lambda seen: "warnings" not in seen)

    (sent,) = read_all(kafka_server.address, f"host.{ORDERS}")
    known = json.loads((tmp_path / "cordbox-id").read_text())
    assert (sent.store_id, sent.position) == (known["storeId"], 0)
