"""Every hook of the host. Adapters are plugged in here, the built-in ones as well.

A hook gets narrow objects (ports, settings), never the host. A process of the host calls each hook
that it needs once, on the main thread, while it is put together and before it serves anything; what
the hook gives lives as long as the process. An exception in a hook stops the host's start.
"""

from collections.abc import Sequence
from pathlib import Path

import pluggy
from cryptography import x509
from starlette.routing import BaseRoute

from cpi.crypto.keys import SigningKey
from host.adapters.files.data_directory import DataDirectory
from host.domain.packages import CodeWorld
from host.ports.capability import Capability
from host.ports.clock import Clock, Entropy
from host.ports.database import SqlDatabase
from host.ports.keys import KeyStore
from host.ports.storage import Storage
from host.ports.units import FlowStore
from host.settings import HostSettings
from host.settings.live import LiveConfig
from host.settings.plugged import PluginSettings

PROJECT = "cordbox"
"""Name of the plugin project: of the hook markers, and of the group of entry points."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_settings() -> PluginSettings | None:
    """Declare settings of the plugin's own: what it needs to start, and sections that may change.

    Called before any other hook, whenever settings are read: also by commands that start no host.
    Names that Cordbox or another plugin has stop the start. The plugin reads what it needs to start
    by `settings.plugin(Kind)`, where `Kind` is the dataclass that it declared, and a section by
    `config.section(SECTION).get()`, each time that it uses it.
    """


@hookspec(firstresult=True)
def register_storage(settings: HostSettings, directory: DataDirectory) -> Storage | None:
    """Give what opens the registers, the vaults and the CPIs; the first plugin that has one wins.

    Give None to leave it to another plugin. Sections of settings are in the registers: there are
    none yet.

    Args:
        settings: the host's bootstrap settings, and the plugin's own.
        directory: the data directory, held by this host.
    """


@hookspec(firstresult=True)
def register_bus(
    settings: HostSettings, directory: DataDirectory, config: LiveConfig, storage: Storage
) -> FlowStore | None:
    """Give the store of records, flow states and journals; the first plugin that has one wins.

    The host closes it at its end. Give None to leave it to another plugin.

    Args:
        settings: the host's bootstrap settings, and the plugin's own.
        directory: the data directory, held by this host.
        config: sections of settings as they are in force.
        storage: of the plugin that gave it.
    """


@hookspec(firstresult=True)
def register_key_store(  # noqa: PLR0917  # hooks get their arguments by name
    settings: HostSettings,
    directory: DataDirectory,
    config: LiveConfig,
    storage: Storage,
    database: SqlDatabase,
    clock: Clock,
    entropy: Entropy,
) -> KeyStore | None:
    """Give the store that keeps the nodes' private keys; the first plugin that has one wins.

    Args:
        settings: the host's bootstrap settings, and the plugin's own.
        directory: the data directory, held by this host.
        config: sections of settings as they are in force.
        storage: of the plugin that gave it.
        database: the cluster's database; the key tables are in it.
        clock: the host's clock.
        entropy: the host's randomness.
    """


@hookspec
def register_capabilities(
    settings: HostSettings, config: LiveConfig, keys: KeyStore
) -> Sequence[Capability] | None:
    """Give services that flows may call, one for each interface of the workflow world.

    Two capabilities of one name stop the host's start. They are called from many threads.
    """


@hookspec
def register_rest_routes(settings: HostSettings, config: LiveConfig) -> Sequence[BaseRoute] | None:
    """Give routes of the REST server outside `/api`; they look after their own access control."""


@hookspec(firstresult=True)
def register_signing_key(
    uri: str, password: str | None, certificates: Sequence[x509.Certificate]
) -> SigningKey | None:
    """Give the key that a URI names; the first plugin that knows the URI's scheme wins.

    The commands that sign packages call it, not the host. Give None for a scheme of others.

    Args:
        uri: what `--key` gave, such as `pkcs11:token=signing;object=release`.
        password: password or PIN, None when none was given.
        certificates: the key's certificate and issuers, if they are not kept with the key.
    """


@hookspec(firstresult=True)
def build_component(language: str, world: CodeWorld, source: Path) -> bytes | None:
    """Give the component that sources of a language make; the first plugin that knows it wins.

    `cordbox cordapp build` calls it, not the host. Give None for languages of others. What comes
    back is checked like any component: it may import and export what its world has, and no more.

    Args:
        language: the key `language` of `cordapp.toml`.
        world: what the component has to fit.
        source: the folder with the sources.

    Raises:
        ToolchainMissingError: a tool is not installed; names the package to install.
        ToolchainFailedError: the tool refuses the sources.
    """
