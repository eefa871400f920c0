"""What uses settings uses those in force: engines, quotas, REST, without a restart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from host.adapters.http.acceptor import DoorMetrics
from host.runtime.wiring.flows import flow_config
from host.runtime.wiring.rest import live_door
from host.settings.default_quota import live_quota
from host.settings.live import LiveConfig, StoredSection
from host.settings.section import SchemaVersion
from host.settings.sections import SECTIONS
from tests.flow.network import alone
from tests.support.hosts import running_host

PASSWORD = "p"


def change(live: LiveConfig, section: str, **values: Any) -> None:
    """Have another version of a section in force, as if it had been stored."""
    live.take(
        [
            StoredSection(
                name=section,
                version=live.versions()[section] + 1,
                schema_version=SchemaVersion(),
                config=values,
                changed_at=0,
                changed_by="alice",
            )
        ]
    )


@pytest.fixture
def live() -> LiveConfig:
    return LiveConfig(SECTIONS, {})


def test_a_running_engine_holds_its_next_steps_to_the_limits_in_force(live: LiveConfig) -> None:
    network = alone(
        lambda guest: str(guest.call("flow", "sleep", millis=5_000)), config=flow_config(live)
    )
    network.start(request_id="before")
    network.engine.drain()
    network.later(5_000)
    assert network.alice("before").error is None
    change(live, "corda.flow", processing={"maxFlowSleepDuration": 1_000})
    network.start(request_id="after")
    network.engine.drain()
    error = network.alice("after").error
    assert error is not None
    assert error.message == "a flow sleeps at most 1000 ms at once, not 5000"


def test_a_larger_session_payload_raises_the_limit_of_what_guests_may_say(live: LiveConfig) -> None:
    quota = live_quota(live)
    change(live, "corda.flow", session={"maxPayloadSize": 100 * 1024 * 1024})
    assert quota.get().payload_bytes_max > 100 * 1024 * 1024
    change(live, "cordbox.quota", fuel_max=7)
    assert quota.get().fuel_max == 7


def test_the_door_follows(live: LiveConfig) -> None:
    door, seen = live_door(live, DoorMetrics(CollectorRegistry())), []
    door.on_change(seen.append)
    change(live, "cordbox.rest", connections_max=9, transfer_seconds_max=3)
    assert [each.seats.total_max for each in seen] == [9]
    assert door.get().patience.transfer_seconds_max == 3


@pytest.fixture
def host(tmp_path: Path) -> Iterator[tuple[Any, TestClient]]:
    options = {"cache_dir": tmp_path / "cache", "flow_workers": 1}
    with (
        running_host(tmp_path / "data", password=PASSWORD, **options) as host,
        TestClient(host.asgi) as client,
    ):
        client.auth = ("admin", PASSWORD)
        yield host, client


def test_a_running_host_refuses_bodies_by_the_limit_in_force(host: Any) -> None:
    running, client = host
    path, body = "/api/v5_2/user/selfpassword", b'{"password": "' + b"x" * 3_000 + b'"}'
    client.post(path, content=body)
    assert "maximum limit" not in client.post(path, content=body).text
    change(running.config, "corda.rest", maxContentLength=1_024)
    refused = client.post(path, content=body)
    assert (refused.status_code, "exceeds the maximum limit of 1024" in refused.text) == (400, True)


def test_defaults_of_quotas_and_metrics_of_a_running_host_follow(host: Any) -> None:
    running, client = host
    change(running.config, "cordbox.quota", flows_open_max=77)
    assert running.services.quotas.defaults.flows_open_max == 77
    line = 'cordbox_config_version{section="cordbox.quota"} 1.0'
    assert line in client.get("/metrics").text
