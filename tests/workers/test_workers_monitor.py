"""What a worker tells over HTTP, and the overview as text."""

import contextlib
import dataclasses
import socket
from pathlib import Path

import httpx2
import pytest
from prometheus_client import CollectorRegistry, Counter

from host.adapters.memory.store import MemoryStore
from host.cli.host_status import span, status_lines
from host.domain.clock import SimClock
from host.domain.errors import StorageError
from host.domain.workers import WorkerKind
from host.observe.overview import AsideLine, Overview, QueueLine
from host.rest.listener import ListenRefusedError
from host.runtime.workers.monitor import monitored, worker_routes
from host.runtime.workers.overview import Overviews
from host.runtime.workers.overview_metrics import OverviewCollector
from host.runtime.workers.report import Reporter, add_process_metrics
from host.settings import HostSettings


class Worker:
    """A worker whose health the test decides."""

    def __init__(self):
        self.problem, self.is_draining = None, False
        self.registry = CollectorRegistry()

    def check(self):
        if self.problem is not None:
            raise self.problem

    def reporter(self):
        return Reporter(
            kind=WorkerKind.CRYPTO,
            name="crypto-0",
            since=5,
            registry=self.registry,
            check=self.check,
            is_draining=lambda: self.is_draining,
            parked_bytes=lambda node: 7 if node == "A" * 12 else 0,
        )


@pytest.fixture
def worker():
    return Worker()


@pytest.fixture
def get(worker):
    with monitored("127.0.0.1:0", worker_routes(worker.reporter())) as address:
        yield lambda path: httpx2.get(f"http://{address}{path}")


def test_a_worker_is_healthy_until_it_is_not(worker, get):
    for path in ("/status", "/isHealthy"):
        assert (get(path).status_code, get(path).json()) == (200, {"status": "OK"})
    worker.problem = StorageError("disk full")
    reply = get("/status")
    assert (reply.status_code, reply.json()) == (
        503,
        {"status": "FAILED", "state": "failing", "code": "storage"},
    )
    worker.problem, worker.is_draining = None, True
    reply = get("/status")
    assert (reply.status_code, reply.json()) == (503, {"status": "FAILED", "state": "draining"})


def test_a_worker_that_cannot_do_its_work_lives_all_the_same(worker, get):
    """Who restarts it for a full disk only makes things worse."""
    worker.problem, worker.is_draining = StorageError("disk full"), True
    assert (get("/isHealthy").status_code, get("/isHealthy").json()) == (200, {"status": "OK"})


def test_strangers_at_a_worker_meet_the_walls_of_rest(worker):
    with monitored("127.0.0.1:0", worker_routes(worker.reporter())) as address:
        host, _, port = address.partition(":")
        with contextlib.closing(socket.create_connection((host, int(port)), 30)) as stranger:
            head = b"POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
            stranger.sendall(head)
            told = b"".join(iter(lambda: stranger.recv(4096), b""))
        assert told.startswith(b"HTTP/1.1 405")
        assert b"connection: close" in told.lower()


def test_a_worker_shows_its_own_metrics(worker, get):
    Counter("sample_events", "Events.", registry=worker.registry).inc(3)
    add_process_metrics(worker.registry, 0.0)
    text = get("/metrics").text
    assert "sample_events_total 3.0" in text
    assert "cordbox_worker_resident_bytes" in text
    assert "cordbox_worker_cpu_seconds_total" in text


def test_a_worker_has_nothing_else(get):
    assert get("/api/v5_2/hello").status_code == 404


def test_an_address_that_is_taken_is_refused(worker, get):
    port = get("/status").url.port
    with (
        pytest.raises(ListenRefusedError, match=str(port)),
        monitored(f"127.0.0.1:{port}", worker_routes(worker.reporter())),
    ):
        pass


def test_every_process_of_a_host_has_an_address_of_its_own():
    settings = HostSettings(
        data_dir=Path("data"), workers="flow=2", monitor_listen="127.0.0.1:7000"
    )
    assert [settings.monitor_address(n) for n in range(3)] == [
        "127.0.0.1:7000",
        "127.0.0.1:7001",
        "127.0.0.1:7002",
    ]
    free = dataclasses.replace(settings, monitor_listen="[::1]:0")
    assert [free.monitor_address(n) for n in range(3)] == ["[::1]:0"] * 3
    assert dataclasses.replace(settings, monitor_listen=None).monitor_address(0) is None


def test_a_report_is_what_the_others_get_of_it(worker):
    report = worker.reporter().report()
    assert (report.kind, report.name, report.state, report.since) == (
        WorkerKind.CRYPTO,
        "crypto-0",
        "ready",
        5,
    )
    assert [worker.reporter().parked(node * 12) for node in "AB"] == [7, 0]


@pytest.mark.parametrize(
    ("millis", "text"),
    [
        (0, "0ms"),
        (999, "999ms"),
        (1000, "1s"),
        (59_999, "59s"),
        (60_000, "1m 0s"),
        (7_500_000, "2h 5m"),
        (90_000_000, "1d 1h"),
    ],
)
def test_a_length_of_time_has_two_units_at_most(millis, text):
    assert span(millis) == text


def test_the_overview_fits_one_screen():
    worker = {
        "name": "flow-0",
        "pid": 12,
        "state": "ready",
        "since": 1000,
        "restarts": 2,
        "cpu_seconds": 1.25,
        "resident_bytes": 80 << 20,
        "partitions": 16,
    }
    dead = {
        "name": "rest-0",
        "pid": None,
        "state": "waiting",
        "since": 60_500,
        "restarts": 0,
        "cpu_seconds": None,
        "resident_bytes": None,
        "partitions": None,
    }
    facts = {
        "url": "https://h",
        "status": "FAILED",
        "code": "storage",
        "now": 61_000,
        "workers": [worker, dead],
        "queues": [{"topic": "flow.event", "records": 3, "lag_ms": 1200}],
        "open_flows": 41,
        "set_aside": [],
    }
    assert list(status_lines(facts)) == [
        "https://h: FAILED (storage)",
        "worker  pid    state    for  restarts   cpu  memory  partitions",
        "flow-0   12    ready  1m 0s         2  1.2s    80MB          16",
        "rest-0    -  waiting  500ms         0     -       -           -",
        "queue       waiting  oldest",
        "flow.event        3      1s",
        "41 open flows, the oldest record waits 1s",
    ]
    told = [{"code": "vault-unusable", "message": "29EB9804AEE6 (vault-missing)"}]
    assert list(status_lines({**facts, "warnings": told}))[1] == (
        "vault-unusable: 29EB9804AEE6 (vault-missing)"
    )
    found = [{"code": "node-fails", "severity": "critical", "count": 2}]
    assert list(status_lines({**facts, "findings": found}))[1] == (
        "needs you: node-fails (critical, 2 times)"
    )
    nothing = {**facts, "queues": []}
    assert list(status_lines(nothing))[-1] == "41 open flows, nothing waits"
    line = {"topic": "flow.event", "cause": "outage", "keys": 2, "records": 9, "lag_ms": 65_000}
    paused = {"topic": "flow.start", "cause": "paused", "keys": 1, "records": 1, "lag_ms": None}
    assert list(status_lines({**nothing, "set_aside": [line, paused]}))[-4:] == [
        "set aside    cause  keys  records  oldest",
        "flow.event  outage     2        9   1m 5s",
        "flow.start  paused     1        1       -",
        "41 open flows, the oldest record waits 1m 5s",
    ]


def test_who_asks_for_the_overview_again_and_again_costs_one_look_a_second():
    clock, looks = SimClock(), []

    def workers():
        looks.append(clock.now_ms())
        return ()

    overviews = Overviews(MemoryStore(clock=clock), clock, workers)
    first = overviews.latest()
    clock.advance(999)
    assert overviews.latest() == first
    clock.advance(1)
    assert overviews.latest().now == first.now + 1000
    assert len(looks) == 2


def test_what_waits_is_a_metric_while_it_can_be_seen():
    def latest():
        if problems:
            raise problems[0]
        queue = QueueLine(topic="flow.event", records=3, lag_ms=1200)
        aside = AsideLine(topic="flow.event", cause="outage", keys=2, records=9, lag_ms=2500)
        return Overview(now=0, workers=(), queues=[queue], set_aside=[aside], open_flows=41)

    problems = []
    registry = CollectorRegistry()
    registry.register(OverviewCollector(latest))
    topic = {"topic": "flow.event"}
    assert registry.get_sample_value("cordbox_queue_records", topic) == 3
    assert registry.get_sample_value("cordbox_queue_oldest_seconds", topic) == 1.2
    labels = {**topic, "cause": "outage"}
    assert registry.get_sample_value("cordbox_set_aside_records", labels) == 9
    assert registry.get_sample_value("cordbox_set_aside_keys", labels) == 2
    assert registry.get_sample_value("cordbox_set_aside_oldest_seconds", labels) == 2.5
    assert registry.get_sample_value("cordbox_open_flows") == 41
    problems.append(StorageError("disk full"))
    assert registry.get_sample_value("cordbox_open_flows") is None
