"""Settings reach the flow engine: their defaults are Corda's, and each has its place."""

import dataclasses
from pathlib import Path

from host.flow.core.config import CORDA_DEFAULTS, FlowConfig
from host.runtime.wiring.flows import flow_config
from host.settings import load_settings
from host.settings.default_quota import quota_of_settings
from host.settings.live import LiveConfig
from host.settings.sections import (
    CORDA_EXTERNAL_MESSAGING,
    CORDA_FLOW,
    CORDA_MESSAGING,
    CORDA_REST,
    FLOW,
    SECTIONS,
)

DEFAULTS = dataclasses.asdict(CORDA_DEFAULTS)


def config_of(**options: object) -> FlowConfig:
    settings = load_settings(options={"data_dir": Path("x"), **options}, file=None, environment={})
    return flow_config(LiveConfig(SECTIONS, settings.pins)).get()


def test_the_settings_defaults_are_the_engines() -> None:
    assert config_of() == CORDA_DEFAULTS


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


def test_each_key_changes_one_value() -> None:
    changed = set()
    for section in (CORDA_FLOW, CORDA_MESSAGING, CORDA_EXTERNAL_MESSAGING, CORDA_REST, FLOW):
        for key in section.keys.values():
            config = dataclasses.asdict(config_of(**{key.setting: another(key.default)}))
            changed |= {name for name, value in config.items() if value != DEFAULTS[name]}
    assert changed == DEFAULTS.keys() - {"publishes_statuses"}  # follows from the plugins
