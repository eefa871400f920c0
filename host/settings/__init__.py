"""Settings of one host: those that it needs to start, and sections that may change while it runs.

Bootstrap settings (where data lie, addresses, files, workers, plugins, isolation) are given at the
start. Every other setting is a key of a section, with Corda's names where Corda has them. The
setting's name, by which texts and the environment call it, is that of the section without its first
word and that of the key, in lower case: `processing.maxRetryAttempts` of `corda.flow` is
`flow_processing_max_retry_attempts`.

A setting comes from the command line, else from the environment (`CORDBOX_` and the setting's name
in upper case), else from `cordbox.toml`, where a section is a table, else a section has the value
that is stored in the cluster, else the default below. Lists are separated by commas in the
environment.
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
