import re
from pathlib import Path

import pytest

from host.cli import main
from host.runtime.plugin_loading import SETTING_PLUGINS, declared_settings
from host.settings import SettingsInvalidError, load_settings
from host.settings.catalogue import Catalogue
from host.settings.sections import FLOW, GUEST, LOG, REST
from host.settings.variables import refuse_unknown

ROOMS = ("cpi", "host", "sandbox", "plugins", "benchmarks", "sample_cordapps")


def load(tmp_path, toml=None, environment=None, **options):
    file = None
    if toml is not None:
        file = tmp_path / "cordbox.toml"
        file.write_text(toml)
    options.setdefault("data_dir", tmp_path)
    return load_settings(options=options, file=file, environment=environment or {})


def test_the_command_line_beats_the_environment_beats_the_file(tmp_path):
    toml = 'listen = "127.0.0.1:1"\n[cordbox]\nflow.workers = 1\nrest.threads = 1\n'
    environment = {"CORDBOX_REST_THREADS": "2", "CORDBOX_LISTEN": "127.0.0.1:2"}
    settings = load(tmp_path, toml, environment, listen="127.0.0.1:3")
    threads = (settings.section(FLOW).workers, settings.section(REST).threads)
    assert (*threads, settings.listen_port) == (1, 2, 3)


def test_options_that_are_not_given_do_not_count(tmp_path):
    assert load(tmp_path, log_level=None).section(LOG).level == "info"


def test_values_of_every_kind_come_from_the_environment(tmp_path):
    environment = {
        "CORDBOX_CACHE_DIR": "/somewhere",
        "CORDBOX_GUEST_ALLOWED_CAPABILITIES": "log, flow",
        "CORDBOX_PLUGIN_ENTRY_POINTS": "true",
    }
    settings = load(tmp_path, environment=environment)
    assert settings.cache_dir == Path("/somewhere")
    assert settings.section(GUEST).allowed_capabilities == ("log", "flow")
    assert settings.plugin_entry_points is True


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"listen": "nowhere"}, "listen"),
        ({"listen": "127.0.0.1:99999"}, "listen"),
        ({"flow_workers": 0}, r"cordbox\.flow\.workers"),
        ({"rest_max_content_length": "many"}, r"corda\.rest\.maxContentLength"),
        ({"guest_allowed_capabilities": ["telepathy"]}, "telepathy"),
        ({"tls_certificate_file": "/x"}, "tls_private_key_file"),
        ({"log_level": "loud"}, r"cordbox\.log\.level"),
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


def test_ipv6_addresses_can_be_listened_on(tmp_path):
    settings = load(tmp_path, listen="[::1]:8888")
    assert (settings.listen_host, settings.listen_port) == ("::1", 8888)


@pytest.mark.parametrize(
    ("toml", "environment", "options", "told"),
    [
        (
            None,
            {},
            {"listen": "nonsense"},
            "listen: expected an address and a port, such as 127.0.0.1:8888 or [::1]:8888,"
            " found 'nonsense' (--listen)",
        ),
        (
            "[cordbox.flow]\nworkers = 0",
            {},
            {},
            "cordbox.flow.workers: expected a whole number from 1 to 256, found 0"
            " ({file}, [cordbox.flow] workers)",
        ),
        (
            "flow_workers = 1",
            {},
            {},
            "{file}: flow_workers is the key workers of a section: write it under [cordbox.flow]",
        ),
        (
            "[corda.flow]\nprocessing.maxRetryAttempt = 1",
            {},
            {},
            "{file}: unknown key 'processing.maxRetryAttempt' of section corda.flow; did you mean"
            " 'processing.maxRetryAttempts'?",
        ),
        (
            "[corda.flw]\nx = 1",
            {},
            {},
            "{file}: unknown section 'corda.flw'; did you mean 'corda.flow'?",
        ),
        (
            "[flow]\nx = 1",
            {},
            {},
            "{file}: unknown section 'flow.x'",
        ),
        (
            "[corda]\nflow = 1",
            {},
            {},
            "{file}: section corda.flow is no table of keys",
        ),
        (
            None,
            {"CORDBOX_LOG_LEVEL": "loud"},
            {},
            "cordbox.log.level: expected one of debug, info, warning, error, found 'loud'"
            " (environment variable CORDBOX_LOG_LEVEL)",
        ),
        (
            "lisen = 1",
            {},
            {},
            "{file}: unknown setting 'lisen'; did you mean 'listen'?",
        ),
        (
            None,
            {"CORDBOX_PLUGIN_ENTRY_POINTS": "perhaps"},
            {},
            "plugin_entry_points: expected true or false, found 'perhaps'"
            " (environment variable CORDBOX_PLUGIN_ENTRY_POINTS)",
        ),
        (
            "cache_dir = [1]",
            {},
            {},
            "cache_dir: expected a path, found [1] ({file}, cache_dir)",
        ),
        (
            "plugins = 3",
            {},
            {},
            "plugins: expected a list of texts (in the environment: separated by commas), found 3"
            " ({file}, plugins)",
        ),
        (
            None,
            {},
            {"monitor_listen": "x"},
            "monitor_listen: expected an address and a port, such as 127.0.0.1:8888 or"
            " [::1]:8888, found 'x' (--monitor-listen)",
        ),
        (
            None,
            {},
            {"monitor_listen": "127.0.0.1:65534", "workers": "flow=2"},
            "monitor_listen: 127.0.0.1:65534 leaves no port for each process: the last would have"
            " 65536, above 65535 (--monitor-listen)",
        ),
        (
            None,
            {"CORDBOX_REST_PROXIES": "10.0.0.0/8,proxy"},
            {},
            "cordbox.rest.proxies: 'proxy' does not appear to be an IPv4 or IPv6 network"
            " (environment variable CORDBOX_REST_PROXIES)",
        ),
        (
            None,
            {"CORDBOX_LISTN": "127.0.0.1:1"},
            {},
            "unknown environment variable 'CORDBOX_LISTN'; did you mean CORDBOX_LISTEN?",
        ),
        (
            None,
            {"CORDBOX_log_level": "debug"},
            {},
            "unknown environment variable 'CORDBOX_log_level'; did you mean CORDBOX_LOG_LEVEL?",
        ),
        (
            None,
            {"CORDBOX_QQ": "not shown"},
            {},
            "unknown environment variable 'CORDBOX_QQ'",
        ),
    ],
)
def test_a_refusal_says_what_was_expected_and_where_it_stands(
    tmp_path, toml, environment, options, told
):
    with pytest.raises(SettingsInvalidError) as refused:
        load(tmp_path, toml, environment, **options)
    assert refused.value.message == told.replace("{file}", str(tmp_path / "cordbox.toml"))


def test_variables_for_other_purposes_are_taken(tmp_path):
    others = dict.fromkeys(("CORDBOX_URL", "CORDBOX_KILLS", "XCORDBOX_A", "_CORDBOX_COMPLETE"), "1")
    assert load(tmp_path, environment=others) == load(tmp_path)


def test_every_variable_that_the_project_names_is_a_setting_or_known_for_another_purpose():
    root = Path(__file__).resolve().parents[2]
    pages = (*root.glob("*.md"), *(root / "docs").rglob("*.md"))
    code = (p for room in ROOMS for p in (root / room).rglob("*.py"))
    named = {
        name
        for p in (*pages, *code)
        for name in re.findall(r"\bCORDBOX_[A-Z0-9_]+\b", p.read_text())
    }
    assert len(named) > 15
    declared = declared_settings(SETTING_PLUGINS, with_entry_points=False)
    refuse_unknown(named, Catalogue(declared).names())


def test_workers_that_are_none_are_named_with_their_place(tmp_path):
    with pytest.raises(SettingsInvalidError, match=r"workers: 'flw' is neither .* \(--workers\)"):
        load(tmp_path, workers="flw")


@pytest.mark.parametrize(
    "words",
    [("--listen", "nonsense"), ("--workers", "flw"), ("--monitor-listen", "x:y"), ()],
    ids=["listen", "workers", "monitor", "no-data-dir"],
)
def test_wrong_settings_are_wrong_usage(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    where = ("--data-dir", str(tmp_path / "data")) if words else ()
    with pytest.raises(SystemExit) as left:
        main(["host", "run", *where, *words])
    assert left.value.code == 2
    assert "error[settings-invalid]: " in capsys.readouterr().err
    assert not (tmp_path / "data").exists()
