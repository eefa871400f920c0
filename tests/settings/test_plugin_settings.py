"""A plugin's own settings: declared by a hook, read by the plugin, changed while the host runs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from host.cli import main
from host.runtime.plugin_loading import PluginInvalidError, declared_settings
from host.settings import SettingsInvalidError, load_settings
from host.settings.catalogue import Catalogue
from host.settings.live import StoredSection
from host.settings.reread import take_over
from host.settings.section import SchemaVersion
from tests.support.hosts import running_host

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "settings-of-a-plugin.md"
PLUGIN = PAGE.read_text().split("```python\n")[1].split("```")[0]
"""The plugin that the page shows, whose settings are named `quotes`."""
DECLARED = "PluginSettings(bootstrap=Start, sections=[SECTION])"
LOADED = {"plugins": ("embedded", "quotes"), "plugin_entry_points": True}


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: Any, request: Any) -> None:
    """Installs a plugin `quotes` with settings."""
    given = getattr(request, "param", DECLARED)
    module = f"quotes_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{module}.py").write_text(PLUGIN.replace(DECLARED, given))
    info = tmp_path / "quotes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: quotes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[cordbox]\nquotes = {module}\n")
    monkeypatch.syspath_prepend(tmp_path)


def load(folder: Path, toml: str = "", **environment: str) -> Any:
    file = folder / "cordbox.toml"
    file.write_text('plugins = ["embedded", "quotes"]\nplugin_entry_points = true\n' + toml)
    options = {"data_dir": folder / "data"}
    return load_settings(
        options=options, file=file, environment=environment, declare=declared_settings
    )


@contextmanager
def host(folder: Path, **settings: Any) -> Iterator[tuple[Any, TestClient]]:
    options = {**LOADED, "cache_dir": folder / "cache", "flow_workers": 1, **settings}
    with (
        running_host(folder / "data", password="p", **options) as host,
        TestClient(host.asgi) as client,
    ):
        yield host, client


@pytest.mark.usefixtures("plugin")
def test_a_plugin_reads_what_it_declared_and_follows_its_section(tmp_path: Path) -> None:
    given = {"quotes_server": "q.example:9", "quotes_file": "secrets", "quotes_consumer_size": 3}
    with host(tmp_path, **given) as (running, client):
        file = str(Path("secrets").absolute())
        assert client.get("/quotes").json() == ["q.example:9", file, 50, 3]
        stored = StoredSection(
            name="quotes.consumer",
            version=1,
            schema_version=SchemaVersion(),
            config={"poll_ms": 75},
            changed_at=0,
            changed_by="alice",
        )
        running.config.take([stored])
        assert client.get("/quotes").json() == ["q.example:9", file, 75, 3]


@pytest.mark.usefixtures("plugin")
def test_its_settings_come_from_the_file_and_the_environment(tmp_path: Path) -> None:
    toml = 'quotes_server = "a:1"\n[quotes.consumer]\npoll_ms = 7\n'
    settings = load(tmp_path, toml, CORDBOX_QUOTES_CONSUMER_SIZE="4")
    assert settings.plugged == {"quotes_server": "a:1"}
    pins = settings.pins["quotes.consumer"]
    assert {name: pin.value for name, pin in pins.items()} == {"poll_ms": 7, "size": 4}
    assert pins["size"].source == "environment variable CORDBOX_QUOTES_CONSUMER_SIZE"


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("quotes_sever = 1\n", "unknown setting 'quotes_sever'; did you mean 'quotes_server'?"),
        ("quotes_server = 1\n", "quotes_server: expected a text of at most 99 characters, found 1"),
        ("[quotes.consumer]\npoll_ms = 0\n", "quotes.consumer.poll_ms: expected a whole number"),
        ("[quotes.consmer]\npoll_ms = 1\n", "unknown section 'quotes.consmer'"),
    ],
)
def test_its_settings_are_refused_as_all_are(tmp_path: Path, toml: str, told: str) -> None:
    with pytest.raises(SettingsInvalidError) as refused:
        load(tmp_path, toml)
    assert told in refused.value.message
    assert str(tmp_path / "cordbox.toml") in refused.value.message


@pytest.mark.usefixtures("plugin")
def test_its_section_is_taken_over_when_settings_are_read_again(tmp_path: Path) -> None:
    running = load(tmp_path, "[quotes.consumer]\nsize = 3\npoll_ms = 7\n")
    wanted = load(
        tmp_path, '[quotes.consumer]\nsize = 4\npoll_ms = 8\n[cordbox]\nlog.level="debug"\n'
    )
    plugged = declared_settings(running.plugins, running.plugin_entry_points)
    found = take_over(running, wanted, Catalogue(plugged).sections)
    assert set(found.changed) == {"quotes_consumer_poll_ms", "log_level"}
    assert found.waiting == ("quotes_consumer_size",)


def test_a_plugin_that_is_not_asked_for_has_no_settings(tmp_path: Path) -> None:
    options = {"data_dir": tmp_path, "quotes_server": "x"}
    with pytest.raises(SettingsInvalidError, match="unknown setting 'quotes_server'"):
        load_settings(options=options, file=None, environment={}, declare=declared_settings)


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("plugin", ["{}", "SECTION"], indirect=True)
def test_a_hook_that_declares_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PluginInvalidError, match="expected PluginSettings"):
        load(tmp_path)


@pytest.mark.usefixtures("plugin")
def test_a_command_shows_a_plugins_section(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    load(tmp_path, "[quotes.consumer]\npoll_ms = 7\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["config", "show", "quotes.consumer", "--data-dir", "data", "--output", "json"])
    shown = json.loads(capsys.readouterr().out)
    assert left.value.code == 0
    assert shown["configWithDefaults"] == {"poll_ms": 7, "size": 2}
