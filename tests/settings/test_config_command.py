"""`cordbox config`: sections, their values, and where each comes from; the host may run."""

import json
from pathlib import Path
from typing import Any

import pytest

from host.adapters.sqlite.database import Database
from host.cli import main
from host.domain.clock import SimClock
from host.runtime.wiring.schemas import CLUSTER_SCHEMAS
from host.settings.changes import ConfigService
from host.settings.live import LiveConfig
from host.settings.section import SchemaVersion
from host.settings.sections import SECTIONS
from host.settings.store import SectionStore


@pytest.fixture
def run(tmp_path: Path, monkeypatch: Any, capsys: Any) -> Any:
    monkeypatch.chdir(tmp_path)

    def command(*words: str) -> tuple[object, str]:
        with pytest.raises(SystemExit) as left:
            main(["config", *words])
        printed = capsys.readouterr()
        return left.value.code, printed.out + printed.err

    return command


def store(folder: Path) -> Database:
    database = Database.open(folder / "data" / "cluster.sqlite", CLUSTER_SCHEMAS)
    sections = SectionStore(database)
    service = ConfigService(sections, LiveConfig(SECTIONS, {}), SimClock())
    service.put(
        "corda.flow",
        version=0,
        config={"session": {"timeout": 9_000}, "processing": {"maxIdleTime": 70_000}},
        schema_version=SchemaVersion(),
        by="alice",
    )
    return database


def test_each_value_is_shown_with_its_source_while_the_database_is_open(
    tmp_path: Path, run: Any
) -> None:
    (tmp_path / "cordbox.toml").write_text(
        'data_dir = "data"\n[corda.flow]\nsession.timeout = 8_000\n'
    )
    with store(tmp_path):
        code, out = run("show", "corda.flow")
        lines = out.splitlines()
        assert (code, next(line for line in lines if line.startswith("corda.flow"))) == (
            0,
            "corda.flow: version 1 of 2023-11-14T22:13:20+00:00, by alice",
        )
        assert "  session.timeout = 8000  (cordbox.toml, [corda.flow] session.timeout)" in lines
        assert "  processing.maxIdleTime = 70000  (version 1)" in lines
        assert "  processing.maxRetryAttempts = 5  (default)" in lines
        shown = json.loads(run("show", "corda.flow", "--output", "json")[1])
    assert (shown["version"], shown["schemaVersion"]) == (1, {"major": 1, "minor": 0})
    assert shown["sourceConfig"]["session"] == {"timeout": 9_000}
    assert shown["configWithDefaults"]["session"]["timeout"] == 8_000
    origins = {each["key"]: each["origin"] for each in shown["keys"]}
    assert (origins["session.timeout"], origins["processing.maxIdleTime"]) == ("pinned", "stored")


def test_all_sections_are_listed_before_a_host_has_started(run: Any) -> None:
    code, out = run("show", "--data-dir", "data")
    assert (code, out.splitlines()) == (0, [f"{name}: nothing is stored" for name in SECTIONS])
    assert not Path("data").exists()


def test_a_schema_is_printed(run: Any) -> None:
    code, out = run("schema", "corda.messaging")
    limits = json.loads(out)["properties"]["maxAllowedMessageSize"]
    assert (code, limits["maximum"], limits["x-takes-effect"]) == (0, 8_388_608, "at once")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("show", "corda.flw", "--data-dir", "d"), "unknown section 'corda.flw'; did you mean"),
        (("show",), "data_dir is not set"),
        (("schema", "x"), "unknown section 'x'"),
    ],
)
def test_what_is_unknown_is_wrong_usage(run: Any, words: tuple[str, ...], told: str) -> None:
    code, out = run(*words)
    assert (code, told in out) == (2, True)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path, run: Any) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cluster.sqlite").write_text("no database " * 100)
    code, out = run("show", "--data-dir", "data")
    assert (code, "cluster.sqlite cannot be read" in out) == (1, True)
