"""Quotas in the cluster's database: overrides, and counters that several processes add up."""

import threading
from dataclasses import fields, replace

import pytest
import structlog
from prometheus_client import CollectorRegistry

from host.domain.clock import SimClock
from host.domain.errors import StorageError
from host.domain.ids import ShortHash
from host.domain.quotas import QUOTA_NAMES, Quota, QuotaInvalidError, RunCharge, quota_range
from host.nodes.quotas import QuotaService
from host.nodes.quotas.flushing import PeriodicFlush
from host.nodes.quotas.service import FRESH_MS
from host.ports.live import Fixed
from host.settings import SettingsInvalidError, load_settings
from host.settings.default_quota import quota_of_settings
from host.settings.sections import CORDA_FLOW, QUOTA
from sandbox.limits import Usage

NODE, OTHER = ShortHash("A" * 12), ShortHash("B" * 12)


def service(database, clock, **options) -> QuotaService:
    return QuotaService(database=database, defaults=Fixed(Quota()), clock=clock, **options)


def run(fuel=10, code=None, **calls) -> RunCharge:
    usage = Usage(fuel=fuel, host_calls=3, log_bytes=5)
    made = {name.replace("__", "."): count for name, count in calls.items()}
    return RunCharge(usage=usage, wall_ms=7, calls=made, code=code)


def test_a_node_has_the_defaults_until_it_gets_its_own(cluster):
    quotas = service(cluster, SimClock())
    assert quotas.quota(NODE) == Quota()
    quotas.set_overrides(NODE, {"fuel_max": 5, "flows_open_max": 1})
    assert quotas.quota(NODE) == Quota(fuel_max=5, flows_open_max=1)
    assert quotas.quota(OTHER) == Quota()
    quotas.set_overrides(NODE, {"flows_open_max": 2})
    assert quotas.quota(NODE) == Quota(flows_open_max=2)
    assert service(cluster, SimClock()).overrides(NODE) == {"flows_open_max": 2}


@pytest.mark.parametrize("name", QUOTA_NAMES)
def test_a_quota_outside_its_range_is_refused_and_changes_nothing(cluster, name):
    quotas = service(cluster, SimClock())
    minimum, maximum = quota_range(name)
    for value in (minimum - 1, maximum + 1):
        with pytest.raises(QuotaInvalidError, match=f"{name} .* from {minimum} to {maximum}"):
            quotas.set_overrides(NODE, {name: value})
    assert quotas.overrides(NODE) == {}
    for value in (minimum, maximum):
        assert getattr(quotas.set_overrides(NODE, {name: value}), name) == value


def test_an_unknown_quota_is_refused(cluster):
    with pytest.raises(QuotaInvalidError, match="'joules' is none of"):
        service(cluster, SimClock()).set_overrides(NODE, {"joules": 1})


def test_another_process_sees_new_overrides_within_a_second(cluster):
    clock = SimClock()
    here, there = service(cluster, clock), service(cluster, clock)
    assert there.quota(NODE) == Quota()
    here.set_overrides(NODE, {"flows_open_max": 3})
    clock.advance(FRESH_MS)
    assert there.quota(NODE).flows_open_max == 3


def test_counters_of_several_processes_add_up(cluster):
    clock = SimClock()
    first, second = service(cluster, clock), service(cluster, clock)
    begun = clock.now_ms()
    first.spent(NODE, run(fuel=10, signing__sign=2))
    clock.advance(50)
    second.spent(NODE, run(fuel=20, code="out-of-fuel", signing__sign=1))
    second.spent(OTHER, run(code="FLOW_FAILED"))
    second.flush()
    used = first.usage(NODE)
    assert (used.runs, used.fuel, used.wall_ms) == (2, 30, 14)
    assert (used.host_calls, used.log_bytes) == (6, 10)
    assert used.calls == {"signing.sign": 3}
    assert {code: (h.count, h.last_at) for code, h in used.hits.items()} == {
        "out-of-fuel": (1, begun + 50)
    }
    assert used.since == begun
    assert first.usage(OTHER).hits == {}


def test_what_could_not_be_stored_is_stored_the_next_time(cluster, tmp_path):
    quotas = service(cluster, SimClock())
    quotas.spent(NODE, run(fuel=10))
    cluster.path.rename(tmp_path / "away")
    cluster.transact(
        lambda _held: _held.exec_driver_sql("ALTER TABLE virtual_node_usage RENAME TO lost")
    )
    with pytest.raises(StorageError):
        quotas.flush()
    cluster.transact(
        lambda connection: connection.exec_driver_sql(
            "ALTER TABLE lost RENAME TO virtual_node_usage"
        )
    )
    quotas.spent(NODE, run(fuel=1))
    assert quotas.usage(NODE).fuel == 11


def test_a_rate_is_shared_by_the_processes(cluster):
    clock = SimClock()
    alone, shared = service(cluster, clock), service(cluster, clock, processes=4)
    for quotas in (alone, shared):
        quotas.set_overrides(NODE, {"fuel_per_second_max": 1000})
        quotas.spent(NODE, run(fuel=1000))
    assert alone.may_run_at(NODE) is None
    assert shared.may_run_at(NODE) == clock.now_ms() + 2001
    assert shared.may_run_at(OTHER) is None
    assert set(shared.usage(NODE).hits) == {"fuel-rate"}


def test_logging_has_a_rate_too(cluster):
    quotas = service(cluster, SimClock())
    quotas.set_overrides(NODE, {"log_bytes_per_second_max": 1})
    quotas.spent(NODE, run())
    assert quotas.may_run_at(NODE) is not None
    assert set(quotas.usage(NODE).hits) == {"log-rate"}


def test_metrics_are_totals_without_nodes(cluster):
    registry = CollectorRegistry()
    quotas = service(cluster, SimClock(), registry=registry)
    quotas.spent(NODE, run(fuel=10, code="log-limit"))
    quotas.spent(OTHER, run(fuel=20))
    quotas.hit(OTHER, "made-up")
    assert registry.get_sample_value("cordbox_guest_fuel_total") == 30
    hits = {"log-limit": 1.0, "other": 1.0}
    for code, count in hits.items():
        assert registry.get_sample_value("cordbox_quota_hits_total", {"quota": code}) == count
    labels = {label for m in registry.collect() for s in m.samples for label in s.labels}
    assert labels == {"quota"}


def test_every_quota_is_a_key_with_the_same_default_and_limits(tmp_path):
    settings = load_settings(options={"data_dir": tmp_path}, file=None, environment={})
    assert list(QUOTA.keys) == [f.name for f in fields(Quota)]
    largest = settings.section(CORDA_FLOW).session_max_payload_size + 64 * 1024
    assert quota_of_settings(settings) == Quota(payload_bytes_max=largest)
    for name in QUOTA.keys:
        for value in quota_range(name):
            assert QUOTA.values({name: QUOTA.checked(name, value, strict=True)})


def test_a_setting_beyond_its_quota_is_refused(tmp_path):
    options = {"data_dir": tmp_path, "quota_fuel_max": 2**60}
    with pytest.raises(SettingsInvalidError, match="fuel_max"):
        load_settings(options=options, file=None, environment={})


def test_stopping_flushes_a_last_time():
    flushed = []
    flushing = PeriodicFlush(lambda: flushed.append(1), seconds=3600)
    flushing.start()
    flushing.stop()
    assert flushed == [1]


def test_a_failure_that_nobody_foresaw_does_not_end_the_flushing():
    flushed, again = [], threading.Event()

    def flush():
        flushed.append(1)
        if len(flushed) == 1:
            raise OverflowError("a number that no column holds")
        again.set()

    flushing = PeriodicFlush(flush, seconds=0.001)
    with structlog.testing.capture_logs() as lines:
        flushing.start()
        assert again.wait(30)
        flushing.stop()
    assert lines[0]["event"] == "flush-failed"


def test_a_node_that_is_forgotten_while_it_is_charged_is_charged_all_the_same(cluster, monkeypatch):
    """Another node may need its place between any two moments."""
    monkeypatch.setattr("host.nodes.quotas.service._NODES_MAX", 1)

    class Crowd(SimClock):
        quotas: QuotaService | None = None
        is_busy = False

        def now_ms(self):
            if self.quotas is not None and not self.is_busy:
                self.is_busy = True
                self.quotas.quota(OTHER)
                self.is_busy = False
            return super().now_ms()

    clock = Crowd()
    quotas = clock.quotas = service(cluster, clock)
    quotas.spent(NODE, run(fuel=10))
    assert quotas.may_run_at(NODE) is None
    clock.quotas = None
    assert quotas.usage(NODE).fuel == 10


def test_time_in_host_calls_has_a_pace_of_its_own(cluster):
    clock = SimClock()
    quotas = service(cluster, clock, processes=2)
    quotas.set_overrides(NODE, {"host_call_ms_per_second_max": 1_000})
    waits = replace(run(fuel=0), host_call_ms=3_000)  # of a burst of 2 s, at 500 ms a second
    quotas.spent(NODE, waits)
    until = quotas.may_run_at(NODE)
    assert 4_000 <= until - clock.now_ms() <= 4_010
    assert quotas.may_run_at(OTHER) is None
    clock.advance(4_000)
    assert quotas.may_run_at(NODE) is None
    used = quotas.usage(NODE)
    assert (used.host_call_ms, used.hits["host-call-rate"].count) == (3_000, 1)
