"""Settings of one host: one frozen value, read once at start and handed down.

A setting comes from the command line, else from the environment (`CORDBOX_` and the setting's name
in upper case), else from `cordbox.toml`, else it has the default below. Lists are separated by
commas in the environment. `described_settings` gives every setting with its meaning.
"""

from host.settings.errors import SettingsInvalidError
from host.settings.guests import CAPABILITIES
from host.settings.host import HostSettings, home_cache_dir
from host.settings.loading import (
    decode_settings,
    described_settings,
    encode_settings,
    load_settings,
)

__all__ = [
    "CAPABILITIES",
    "HostSettings",
    "SettingsInvalidError",
    "decode_settings",
    "described_settings",
    "encode_settings",
    "home_cache_dir",
    "load_settings",
]
