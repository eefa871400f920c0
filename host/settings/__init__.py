"""Settings of one host: bootstrap settings, and sections that may change while it runs.

Bootstrap settings (where data lie, addresses, files, workers, plugins, isolation) are given at the
start. Every other setting is a key of a section, with Corda's names where Corda has them. The
setting's name, used in messages and the environment, is the section's name without its first word,
followed by the key, in lower case: `processing.maxRetryAttempts` of `corda.flow` is
`flow_processing_max_retry_attempts`.

A setting is taken from the first of these that has it: the command line, the environment
(`CORDBOX_` and the setting's name in upper case), `cordbox.toml`, where a section is a table, for
keys of sections the value stored in the cluster, and the default below. Lists are separated by
commas in the environment.
"""

from host.settings.bootstrap import HostSettings, home_cache_dir
from host.settings.errors import SettingsInvalidError
from host.settings.loading import decode_settings, encode_settings, load_settings
from host.settings.section import Section

__all__ = [
    "HostSettings",
    "Section",
    "SettingsInvalidError",
    "decode_settings",
    "encode_settings",
    "home_cache_dir",
    "load_settings",
]
