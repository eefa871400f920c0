"""Health tells the truth about the disk and the database, and is cheap to ask for."""

import resource
import signal

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from host.adapters.files.data_directory import DataDirectory, DataDirectoryUnusableError
from host.adapters.sqlite.database import Database
from host.domain.errors import StorageError, UnavailableError
from host.rest.tls import own_certificate
from host.rest.tls_files import Certificates
from host.runtime.wiring.health import Health, storage_checks
from host.runtime.wiring.host_metrics import HostCollector


@pytest.fixture
def full_disk():
    """A limit on file sizes stands for the full disk: no write succeeds in both cases."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fill():
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))

    def free():
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    yield fill, free
    free()
    signal.signal(signal.SIGXFSZ, old)


def test_a_full_disk_is_told_and_forgotten_when_there_is_room_again(tmp_path, clock, full_disk):
    fill, free = full_disk
    with Database.open(tmp_path / "cluster.sqlite", []) as database:
        health = Health(storage_checks(tmp_path, database), clock)
        health.check()
        fill()
        clock.advance(1000)
        with pytest.raises(DataDirectoryUnusableError, match="File too large"):
            health.check()
        free()
        clock.advance(999)
        with pytest.raises(DataDirectoryUnusableError):
            health.check()
        clock.advance(1)
        health.check()
    assert [path.name for path in tmp_path.iterdir() if path.name == "probe"] == []


def test_a_host_on_a_full_disk_is_not_healthy(tmp_path, host_on, client_of, full_disk, poll_with):
    fill, free = full_disk
    with host_on(tmp_path / "data") as host, client_of(host) as client:
        fill()
        reply, alive = client.get("/status"), client.get("/isHealthy")
        free()
        told = reply.json()
        assert (reply.status_code, told["status"], told["code"]) == (
            503,
            "FAILED",
            "data-directory-unusable",
        )
        assert [(r["check"], r["code"]) for r in told["reasons"]] == [
            ("disk", "data-directory-unusable")
        ]
        assert str(tmp_path) not in reply.text
        assert (alive.status_code, alive.json()) == (200, {"status": "OK"})
        poll_with(client, "/status", lambda status: status == {"status": "OK"})


def test_a_database_that_is_gone_is_told(tmp_path, clock):
    database = Database.open(tmp_path / "cluster.sqlite", [])
    database.close()
    (tmp_path / "cluster.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(StorageError):
        Health(storage_checks(tmp_path, database), clock).check()
    database.close()


def test_what_a_check_does_not_foresee_is_told_too(clock):
    def fail():
        raise ZeroDivisionError

    with pytest.raises(UnavailableError, match="disk: ZeroDivisionError"):
        Health({"disk": fail}, clock).check()


def test_the_overview_of_one_process_has_its_line(tmp_path, host_on, client_of):
    with host_on(tmp_path / "data") as host, client_of(host) as client:
        seen = client.get("/overview").json()
        assert all(set(found) == {"code", "severity", "count"} for found in seen["findings"])
    (worker,) = seen["workers"]
    assert (worker["name"], worker["state"], worker["restarts"]) == ("host", "ready", 0)
    assert worker["resident_bytes"] > 1 << 20
    assert (seen["queues"], seen["open_flows"]) == ([], 0)


def test_the_host_tells_of_its_release_its_disk_and_its_files(tmp_path, host_on, client_of):
    with host_on(tmp_path / "data") as host, client_of(host) as client:
        lines = client.get("/metrics").text.splitlines()
    metrics = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(metrics["cordbox_disk_free_bytes"]) <= float(metrics["cordbox_disk_size_bytes"])
    assert float(metrics['cordbox_file_bytes{file="cluster.sqlite"}']) > 0
    assert 'cordbox_file_bytes{file="flows.sqlite-wal"}' in metrics
    assert (metrics["cordbox_open_flows"], metrics['cordbox_worker_restarts{name="host"}']) == (
        "0.0",
        "0.0",
    )
    (build,) = [name for name in metrics if name.startswith("cordbox_build_info")]
    assert 'wasmtime="' in build


def test_the_time_until_the_certificate_ends_is_a_metric(tmp_path, clock):
    files = own_certificate(tmp_path, listen_host="127.0.0.1", clock=clock)
    certificates = Certificates(files, clock, listen_host="127.0.0.1")
    directory = DataDirectory.hold(tmp_path)
    registry = CollectorRegistry()
    registry.register(HostCollector(directory, certificates))

    def left():
        return registry.get_sample_value("cordbox_certificate_expiry_seconds")

    before = left()
    clock.advance(1000)
    assert before - left() == 1


def test_counters_have_series_before_their_first_event(api):
    families = list(text_string_to_metric_families(api.get("/metrics").text))
    counters = [family for family in families if family.type == "counter"]
    assert len(counters) > 10
    assert [family.name for family in counters if not family.samples] == []


def test_requests_are_counted_by_the_path_of_their_operation(api):
    api.get("/api/v5_2/flow/0123456789AB")
    api.get("/api/v5_2/nothing/that/there/is")
    text = api.get("/metrics").text
    assert (
        'cordbox_rest_requests_total{method="GET",route="/flow/{holdingidentityshorthash}",'
        'status="404"}' in text
    )
    assert "that/there" not in text
