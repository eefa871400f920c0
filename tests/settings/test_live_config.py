"""Sections in force: pins win over what is stored, changes are told, the start's values stay."""

import threading
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from host.adapters.sqlite.database import Database
from host.domain.clock import SimClock
from host.domain.errors import NotFoundError
from host.ports.live import Derived, Fixed
from host.settings import SettingsInvalidError
from host.settings.changes import (
    CONFIG_CHARACTERS_MAX,
    Changed,
    ConfigInvalidError,
    ConfigKeyPinnedError,
    ConfigSchemaVersionError,
    ConfigService,
    Origin,
)
from host.settings.following import Following
from host.settings.live import LiveConfig, StoredSection
from host.settings.pins import Pin
from host.settings.section import SchemaVersion, Section
from host.settings.sections import CORDA_FLOW, FLOW, GUEST, LOG, SECTIONS
from host.settings.store import (
    SCHEMA,
    VERSIONS_KEPT,
    ConfigVersionConflictError,
    SectionStore,
)

IDLE = {"processing": {"maxIdleTime": 60_000}}
PINS = {"corda.flow": {"session.timeout": Pin(5_000, "cordbox.toml, [corda.flow] session.timeout")}}


class Host:
    """One process that follows a cluster's database."""

    def __init__(self, database: Database, pins: Any = None) -> None:
        store = SectionStore(database)
        self.live = LiveConfig(SECTIONS, pins or {}, store.newest().values())
        self.follow = Following(store, self.live)
        self.config = ConfigService(store, self.live, SimClock())

    def put(self, name: str, version: int, config: Any, **changes: Any) -> Changed:
        options = {"schema_version": SchemaVersion(), "by": "alice", **changes}
        return self.config.put(name, version=version, config=config, **options)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cluster.sqlite"


@pytest.fixture
def database(file: Path) -> Any:
    with Database.open(file, [SCHEMA]) as database:
        yield database


@pytest.fixture
def host(database: Database) -> Host:
    return Host(database)


def test_a_change_is_in_force_here_at_once_and_elsewhere_with_the_next_look(
    file: Path, host: Host
) -> None:
    with Database.open(file, [SCHEMA]) as other:
        there = Host(other)
        heard: list[int] = []
        there.live.section(CORDA_FLOW).on_change(lambda flow: heard.append(flow.session_timeout))
        there.follow.refresh()
        changed = host.put("corda.flow", 0, {"session": {"timeout": 9_000}})
        assert changed == Changed(version=1, at_once=("session.timeout",), at_next_start=())
        assert host.live.section(CORDA_FLOW).get().session_timeout == 9_000
        assert there.live.section(CORDA_FLOW).get().session_timeout == 1_800_000
        there.follow.refresh()
        assert there.live.section(CORDA_FLOW).get().session_timeout == 9_000
        assert heard == [9_000]
        assert there.live.versions()["corda.flow"] == 1
        host.put("corda.flow", 1, {})
        there.follow.refresh()
        assert heard == [9_000, 1_800_000]


def test_what_is_stored_is_in_force_after_a_restart(database: Database, host: Host) -> None:
    host.put("corda.flow", 0, IDLE)
    assert Host(database).live.section(CORDA_FLOW).get().processing_max_idle_time == 60_000


def test_a_look_without_a_change_reads_nothing(host: Host, monkeypatch: Any) -> None:
    host.follow.refresh()
    monkeypatch.setattr(SectionStore, "newest", lambda _: pytest.fail("read"))
    host.follow.refresh()


def test_keys_of_the_start_wait_for_the_next_one(database: Database, host: Host) -> None:
    workers = host.live.section(FLOW).get().workers
    with capture_logs() as logs:
        changed = host.put("cordbox.flow", 0, {"workers": 99, "hops_max": 3})
    (line,) = [line for line in logs if line["event"] == "config-taken-over"]
    assert (line["changed"], line["at_next_start"]) == (["hops_max"], ["workers"])
    assert (changed.at_once, changed.at_next_start) == (("hops_max",), ("workers",))
    now = host.live.section(FLOW).get()
    assert (now.workers, now.hops_max) == (workers, 3)
    assert Host(database).live.section(FLOW).get().workers == 99


def test_pins_win_and_cannot_be_changed(database: Database, host: Host) -> None:
    host.put("corda.flow", 0, {"session": {"timeout": 9_000}})
    pinned = Host(database, PINS)
    assert pinned.live.section(CORDA_FLOW).get().session_timeout == 5_000
    with pytest.raises(ConfigKeyPinnedError) as refused:
        pinned.put("corda.flow", 1, {"session": {"timeout": 7_000}})
    assert refused.value.message == (
        "corda.flow.session.timeout is given by cordbox.toml, [corda.flow] session.timeout:"
        " change it there"
    )
    assert pinned.put("corda.flow", 1, IDLE).at_once == (
        "processing.maxIdleTime",
        "session.timeout",
    )
    pinned.live.repin({})
    assert pinned.live.section(CORDA_FLOW).get().session_timeout == 1_800_000


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"session": {"timeout": 1}}, "corda.flow.session.timeout: expected a whole number from"),
        ({"session": {"timeout": "5000"}}, "corda.flow.session.timeout: expected"),
        ({"session": {"timeout": True}}, "corda.flow.session.timeout: expected"),
        ({"session": 5}, "corda.flow has no key 'session'"),
        ({"session": {"timeuot": 5_000}}, "did you mean 'session.timeout'?"),
        ({"session.timeout.x": 5_000}, "corda.flow has no key"),
        ({"x" * CONFIG_CHARACTERS_MAX: 1}, "corda.flow has no key"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(
    host: Host, config: Any, told: str
) -> None:
    with pytest.raises(ConfigInvalidError) as refused:
        host.put("corda.flow", 0, config)
    assert told in refused.value.message
    assert len(refused.value.message) < 300
    assert host.config.get("corda.flow").version == 0


def test_values_that_cannot_be_together_are_refused(host: Host) -> None:
    with pytest.raises(
        ConfigInvalidError, match=r"cordbox.guest.allowed_capabilities: 'x' is none"
    ):
        host.put("cordbox.guest", 0, {"allowed_capabilities": ["log", "x"]})
    host.put("cordbox.guest", 0, {"allowed_capabilities": ["log"]})
    assert host.live.section(GUEST).get().allowed_capabilities == ("log",)


def test_a_change_of_an_older_version_is_a_conflict_that_names_both(host: Host) -> None:
    host.put("corda.flow", 0, IDLE)
    with pytest.raises(ConfigVersionConflictError, match="has version 1, the change was made of"):
        host.put("corda.flow", 0, {})
    with pytest.raises(ConfigVersionConflictError, match="has version 1"):
        host.put("corda.flow", 7, {})


def test_of_changes_at_the_same_time_one_is_made(file: Path, host: Host) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(4)

    def change(number: int) -> None:
        with Database.open(file, [SCHEMA]) as own:
            process = Host(own)
            start.wait()
            try:
                process.put("corda.flow", 0, {"session": {"timeout": 2_000 + number}})
                outcomes.append("made")
            except ConfigVersionConflictError:
                outcomes.append("conflict")

    threads = [threading.Thread(target=change, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["conflict", "conflict", "conflict", "made"]
    assert host.config.get("corda.flow").version == 1


def test_unknown_sections_and_other_schemas_are_refused(host: Host) -> None:
    with pytest.raises(NotFoundError, match=r"corda\.flw"):
        host.put("corda.flw", 0, {})
    with pytest.raises(ConfigSchemaVersionError, match=r"version 1\.0, .* for 2\.0"):
        host.put("corda.flow", 0, {}, schema_version=SchemaVersion(major=2))


def test_a_view_tells_where_each_value_comes_from(database: Database, host: Host) -> None:
    host.put("corda.flow", 0, IDLE)
    view = Host(database, PINS).config.get("corda.flow")
    found = {key.key.name: (key.value, key.origin, key.source) for key in view.keys}
    assert found["session.timeout"] == (
        5_000,
        Origin.PINNED,
        "cordbox.toml, [corda.flow] session.timeout",
    )
    assert found["processing.maxIdleTime"] == (60_000, Origin.STORED, "version 1")
    assert found["processing.cleanupTime"] == (600_000, Origin.DEFAULT, "default")
    assert view.source_config == IDLE
    assert view.config_with_defaults["processing"]["maxRetryAttempts"] == 5
    assert (view.version, view.changed_by, view.changed_at) == (1, "alice", SimClock().now_ms())


def test_versions_are_kept_and_the_oldest_go(database: Database, host: Host) -> None:
    for version in range(VERSIONS_KEPT + 2):
        host.put("corda.flow", version, {"session": {"timeout": 1_000 + version}}, by=f"u{version}")
    kept = SectionStore(database).history("corda.flow")
    assert [each.version for each in kept] == list(range(VERSIONS_KEPT + 2, 2, -1))
    assert (kept[0].changed_by, kept[0].config) == (
        f"u{VERSIONS_KEPT + 1}",
        {"session": {"timeout": 1_000 + VERSIONS_KEPT + 1}},
    )


def stored(config: Any, version: int = 1, name: str = "corda.flow") -> StoredSection:
    return StoredSection(
        name=name,
        version=version,
        schema_version=SchemaVersion(),
        config=config,
        changed_at=0,
        changed_by="bob",
    )


def test_what_another_release_stored_stops_a_start_but_no_running_host(host: Host) -> None:
    bad = stored({"session": {"timeout": 0}})
    with pytest.raises(SettingsInvalidError, match=r"session.timeout: .* \(stored as version 1 of"):
        LiveConfig(SECTIONS, {}, [bad])
    with capture_logs() as logs:
        host.live.take([bad])
    assert [(line["event"], line["section"]) for line in logs] == [
        ("config-not-taken-over", "corda.flow")
    ]
    assert host.live.section(CORDA_FLOW).get().session_timeout == 1_800_000
    host.live.take([stored({"session": {"timeout": 4_000}}, 2)])
    assert host.live.section(CORDA_FLOW).get().session_timeout == 4_000
    host.live.take([stored({"session": {"timeout": 3_000}}, 1)])
    assert host.live.section(CORDA_FLOW).get().session_timeout == 4_000


def test_sections_of_plugins_that_are_not_loaded_are_left_alone(host: Host) -> None:
    host.live.take([stored({"x": 1}, name="other.section")])
    with pytest.raises(SettingsInvalidError, match="unknown section"):
        host.live.section(Section("other.section", type(LOG.values({}))))


def test_who_fails_when_told_keeps_nobody_else_from_hearing(host: Host) -> None:
    heard: list[str] = []
    host.live.section(LOG).on_change(lambda _: 1 / 0)
    host.live.section(LOG).on_change(lambda log: heard.append(log.level))
    with capture_logs() as logs:
        host.put("cordbox.log", 0, {"level": "debug"})
    assert heard == ["debug"]
    assert "config-change-failed" in {line["event"] for line in logs}


def test_derived_values_are_made_when_a_source_changes(host: Host) -> None:
    made: list[int] = []
    live = Derived(
        lambda flow, more: made.append(1) or flow.session_timeout + more,
        host.live.section(CORDA_FLOW),
        Fixed(1),
    )
    assert (live.get(), live.get(), len(made)) == (1_800_001, 1_800_001, 1)
    heard: list[int] = []
    live.on_change(heard.append)
    host.put("corda.flow", 0, {"session": {"timeout": 5_000}})
    assert (heard, live.get(), len(made)) == ([5_001], 5_001, 2)


def test_pins_that_do_not_fit_change_nothing(host: Host) -> None:
    with pytest.raises(SettingsInvalidError):
        host.live.repin({"corda.flow": {"session.timeout": Pin(0, "x")}})
    assert host.live.pins == {}
