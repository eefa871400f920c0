"""Settings reach the flow engine: their defaults are Corda's, and each has its place."""

import dataclasses
from pathlib import Path

from host.composition.flows import flow_config
from host.flow.config import CORDA_DEFAULTS
from host.quotas.defaults import quota_of_settings
from host.settings import load_settings

PREFIXES = (
    "external_messaging",
    "flow_descendants",
    "flow_hops",
    "flow_processing",
    "flow_result",
    "flow_session",
    "messaging",
    "rest_flow_status",
)


def test_the_settings_defaults_are_the_engines() -> None:
    settings = load_settings(options={"data_dir": Path("x")}, file=None, environment={})
    assert flow_config(settings) == CORDA_DEFAULTS


def test_a_host_call_may_carry_the_largest_payload() -> None:
    options = {"data_dir": Path("x"), "flow_session_max_payload_size": 100 * 1024 * 1024}
    settings = load_settings(options=options, file=None, environment={})
    assert quota_of_settings(settings).payload_bytes_max > 100 * 1024 * 1024


def another(value: object) -> object:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case "ERROR":
            return "IGNORE"
        case _:
            return "ext.other.$CHANNEL_NAME"


def test_each_setting_changes_one_value() -> None:
    settings = load_settings(options={"data_dir": Path("x")}, file=None, environment={})
    names = [f.name for f in dataclasses.fields(settings) if f.name.startswith(PREFIXES)]
    changed = set()
    for name in names:
        other = dataclasses.replace(settings, **{name: another(getattr(settings, name))})
        config = dataclasses.asdict(flow_config(other))
        defaults = dataclasses.asdict(CORDA_DEFAULTS)
        (field,) = [key for key in config if config[key] != defaults[key]]
        changed.add(field)
    assert changed == {f.name for f in dataclasses.fields(CORDA_DEFAULTS)}
