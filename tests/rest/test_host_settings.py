from pathlib import Path

import pytest

from host.settings import HostSettings, SettingsInvalidError, described_settings, load_settings


def load(tmp_path, toml=None, environment=None, **options):
    file = None
    if toml is not None:
        file = tmp_path / "cordbox.toml"
        file.write_text(toml)
    options.setdefault("data_dir", tmp_path)
    return load_settings(options=options, file=file, environment=environment or {})


def test_the_command_line_beats_the_environment_beats_the_file(tmp_path):
    toml = 'flow_workers = 1\nrest_threads = 1\nlisten = "127.0.0.1:1"\n'
    environment = {"CORDBOX_REST_THREADS": "2", "CORDBOX_LISTEN": "127.0.0.1:2"}
    settings = load(tmp_path, toml, environment, listen="127.0.0.1:3")
    assert (settings.flow_workers, settings.rest_threads, settings.listen_port) == (1, 2, 3)


def test_options_that_are_not_given_do_not_count(tmp_path):
    assert load(tmp_path, log_level=None).log_level == "info"


def test_values_of_every_kind_come_from_the_environment(tmp_path):
    environment = {
        "CORDBOX_CACHE_DIR": "/somewhere",
        "CORDBOX_ALLOWED_CAPABILITIES": "log, flow",
        "CORDBOX_PLUGIN_ENTRY_POINTS": "true",
    }
    settings = load(tmp_path, environment=environment)
    assert settings.cache_dir == Path("/somewhere")
    assert settings.allowed_capabilities == ("log", "flow")
    assert settings.plugin_entry_points is True


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"listen": "nowhere"}, "listen"),
        ({"listen": "127.0.0.1:99999"}, "listen"),
        ({"flow_workers": 0}, "flow_workers"),
        ({"max_content_length": "many"}, "max_content_length"),
        ({"allowed_capabilities": ["telepathy"]}, "telepathy"),
        ({"tls_certificate_file": "/x"}, "tls_private_key_file"),
        ({"log_level": "loud"}, "log_level"),
    ],
)
def test_a_refusal_names_the_setting(tmp_path, options, named):
    with pytest.raises(SettingsInvalidError, match=named):
        load(tmp_path, **options)


@pytest.mark.parametrize("toml", ["listen = ", "colour = 1", "\x00"])
def test_a_bad_file_is_refused(tmp_path, toml):
    with pytest.raises(SettingsInvalidError, match="cordbox"):
        load(tmp_path, toml)


def test_a_missing_file_or_data_directory_is_refused(tmp_path):
    with pytest.raises(SettingsInvalidError, match="No such file"):
        load_settings(options={"data_dir": tmp_path}, file=tmp_path / "no.toml", environment={})
    with pytest.raises(SettingsInvalidError, match="data_dir"):
        load_settings(options={}, file=None, environment={})


def test_every_setting_is_described():
    described = described_settings()
    assert described.keys() == HostSettings.__dataclass_fields__.keys()
    assert next(iter(described)) == "data_dir"
    assert all(text.endswith(".") for text in described.values())


def test_ipv6_addresses_can_be_listened_on(tmp_path):
    settings = load(tmp_path, listen="[::1]:8888")
    assert (settings.listen_host, settings.listen_port) == ("::1", 8888)
