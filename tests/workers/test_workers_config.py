"""A change of a section is in force in every worker process of a running host, without a restart."""

import re
import time
from contextlib import closing

import pytest

from host.adapters.files.data_directory import DataDirectory
from host.adapters.os.system import SystemClock
from host.adapters.sqlite.database import Database
from host.runtime.wiring.schemas import CLUSTER_SCHEMAS
from host.settings import load_settings
from host.settings.changes import ConfigKeyPinnedError, ConfigService
from host.settings.live import LiveConfig, StoredSection
from host.settings.section import SchemaVersion
from host.settings.sections import SECTIONS
from host.settings.store import SectionStore

SECONDS_MAX = 60
WORKERS = {"flow-0", "flow-1", "crypto-0", "persistence-0", "rest-0"}
VERSION = re.compile(
    r'^cordbox_config_version\{section="cordbox\.log",worker="([^"]+)"\} ([0-9.]+)$', re.MULTILINE
)


def until(holds):
    deadline = time.monotonic() + SECONDS_MAX
    while time.monotonic() < deadline:
        found = holds()
        if found:
            return found
        time.sleep(0.02)
    pytest.fail("it never came")


@pytest.mark.slow
@pytest.mark.crash
def test_every_worker_follows_a_change_and_none_restarts(tmp_path, running):
    plan = "flow=2,crypto=1,persistence=1"
    (tmp_path / "cordbox.toml").write_text("[cordbox.rest]\ntransfer_seconds_max = 99\n")
    with running(tmp_path, "--workers", plan) as host, host.client() as client:
        workers = set(host.table())
        assert workers == WORKERS
        pids = host.pids()
        assert versions(client) == dict.fromkeys(WORKERS, 0)
        # Another process of the cluster: it knows nothing of the workers but their database.
        database = Database.open(host.data / "cluster.sqlite", CLUSTER_SCHEMAS)
        with closing(database):
            config = service(database, tmp_path)
            with pytest.raises(
                ConfigKeyPinnedError, match=r"\[cordbox.rest\] transfer_seconds_max"
            ):
                put(config, "cordbox.rest", 0, {"transfer_seconds_max": 5})
            assert put(config, "cordbox.log", 0, {"level": "debug"}).at_once == ("level",)
            until(lambda: versions(client) == dict.fromkeys(WORKERS, 1))
        taken = until(lambda: lines(host, "config-taken-over", WORKERS))
        assert {(line["section"], line["version"], *line["changed"]) for line in taken} == {
            ("cordbox.log", 1, "level")
        }
        # Requests that are answered well are logged at debug only.
        assert client.get("/isHealthy").status_code == 200
        until(lambda: lines(host, "request", {"rest-0"}))
        assert host.pids() == pids
        assert host.end() == 0


def service(database, folder):
    options = {"data_dir": folder / "data"}
    settings = load_settings(options=options, file=folder / "cordbox.toml", environment={})
    store = SectionStore(database)
    live = LiveConfig(SECTIONS, settings.pins, store.newest().values())
    return ConfigService(store, live, SystemClock())


def put(config, section, version, values):
    return config.put(
        section, version=version, config=values, schema_version=SchemaVersion(), by="operator"
    )


def versions(client):
    text = client.get("/metrics").text
    return {worker: int(float(version)) for worker, version in VERSION.findall(text)}


def lines(host, event, workers):
    found = [line for line in host.lines() if line["event"] == event]
    return found if {line["worker"] for line in found} >= workers else []


@pytest.mark.slow
@pytest.mark.crash
def test_a_host_whose_stored_sections_do_not_fit_does_not_start_and_names_the_key(
    tmp_path, running, cordbox
):
    with running(tmp_path, "--workers", "combined") as host:
        assert host.end() == 0
    directory = DataDirectory.hold(tmp_path / "data")
    file = directory.cluster_database
    with closing(Database.open(file, CLUSTER_SCHEMAS, mark=directory.marks.of(file.name))) as found:
        SectionStore(found).add(
            StoredSection(
                name="corda.flow",
                version=1,
                schema_version=SchemaVersion(),
                config={"session": {"timeout": 0}},
                changed_at=0,
                changed_by="another release",
            )
        )
    directory.release()
    for workers in ("combined", "flow=1"):
        words = ("--data-dir", "data", "--listen", "127.0.0.1:0", "--workers", workers)
        code, told = cordbox("host", "run", *words, cwd=tmp_path)
        assert code == 2, told
        assert (
            "error[settings-invalid]: corda.flow.session.timeout: expected a whole number from 1000"
            " to 2147483647, found 0 (stored as version 1 of corda.flow)"
        ) in told
