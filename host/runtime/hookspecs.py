"""Every hook of the host. All adapters, also the built-in ones, are registered by hooks.

A hook gets narrow objects (ports, settings), never the host. A process of the host calls each hook
that it needs once, on the main thread, during startup and before it serves anything; the returned
object is used until the process ends. An exception in a hook stops the host's start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:  # The supervisor and commands load plugins without what they are for.
    from collections.abc import Sequence
    from pathlib import Path

    from starlette.routing import BaseRoute

    from cpi.crypto.certificate import AnyCertificate
    from cpi.crypto.keys import SigningKey
    from host.adapters.files.data_directory import DataDirectory
    from host.domain.packages import CodeWorld
    from host.ports.capability import Capability
    from host.ports.carriage import WorkBroker
    from host.ports.clock import Clock, Entropy, TwoClocks
    from host.ports.database import SqlDatabase
    from host.ports.identity import IdentityProvider
    from host.ports.keys import KeyStore
    from host.ports.outward import BrokerTopics, OutwardBroker
    from host.ports.storage import DatabaseUpkeep, Storage
    from host.ports.tracing import Tracer
    from host.ports.units import FlowStore
    from host.rest.gate import Gate
    from host.settings import HostSettings
    from host.settings.live import LiveConfig
    from host.settings.plugged import PluginSettings

PROJECT = "cordbox"
"""Name of the plugin project: of the hook markers, and of the group of entry points."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_settings() -> PluginSettings | None:
    """Declare the plugin's own settings: bootstrap settings, and sections that may change.

    Called before any other hook, whenever settings are read: also by commands that start no host. A
    name that Cordbox or another plugin uses already stops the start. The plugin reads what it needs
    to start by `settings.plugin(Kind)`, where `Kind` is the dataclass that it declared, and a
    section by `config.section(SECTION).get()`, each time that it uses it.
    """


@hookspec(firstresult=True)
def register_storage(settings: HostSettings, directory: DataDirectory) -> Storage | None:
    """Return the storage of registers, vaults and CPIs; the first result that is not None is used.

    Return None to leave it to another plugin. There is no argument for sections of settings,
    because they are stored in the registers.

    Args:
        settings: the host's bootstrap settings, and the plugin's own.
        directory: the data directory, held by this host.
    """


@hookspec(firstresult=True)
def register_database_upkeep(settings: HostSettings) -> DatabaseUpkeep | None:
    """Return the upkeep of a shared database; the first result that is not None is used.

    The commands `cordbox database …` call it, not the host. Return None if the settings name no
    such database.

    Args:
        settings: the host's bootstrap settings, and the plugin's own.
    """


@hookspec(firstresult=True)
def register_bus(
    settings: HostSettings, directory: DataDirectory, config: LiveConfig, storage: Storage
) -> FlowStore | None:
    """Return the store of records, flow states and journals; the first that is not None is used.

    The host closes it at its end. Return None to leave it to another plugin.

    Args:
        settings: the host's bootstrap settings, and the plugin's own.
        directory: the data directory, held by this host.
        config: sections of settings as they are in force.
        storage: the result of `register_storage`.
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
    """Return the store of the nodes' private keys; the first result that is not None is used.

    Args:
        settings: the host's bootstrap settings, and the plugin's own.
        directory: the data directory, held by this host.
        config: sections of settings as they are in force.
        storage: the result of `register_storage`.
        database: the cluster's database; the key tables are in it.
        clock: the host's clock.
        entropy: the host's randomness.
    """


@hookspec(firstresult=True)
def register_broker(settings: HostSettings, store_id: str) -> OutwardBroker | None:
    """Return the broker of outward topics; the first result that is not None is used.

    The process with the relay calls it, and closes it at its end. Return None to leave it to
    another plugin.

    Args:
        settings: the host's bootstrap settings, and the plugin's own.
        store_id: of the flow store, new after each restore: part of each record's id.
    """


@hookspec(firstresult=True)
def register_work_broker(settings: HostSettings, number: int, key: bytes) -> WorkBroker | None:
    """Return the broker of work (`bus = kafka`); the first result that is not None is used.

    The process with the relay calls it, and closes it at its end. Return None to leave it to
    another plugin.

    Args:
        settings: the host's bootstrap settings, and the plugin's own.
        number: of the database whose work is sent and received.
        key: secret of the cluster, by which its hosts recognise their records.
    """


@hookspec(firstresult=True)
def register_broker_topics(settings: HostSettings) -> BrokerTopics | None:
    """Return the topics of the broker that the settings name; the first that is not None is used.

    The commands `cordbox kafka …` call it, not the host.

    Args:
        settings: the host's bootstrap settings, and the plugin's own.
    """


@hookspec
def register_capabilities(
    settings: HostSettings, config: LiveConfig, keys: KeyStore
) -> Sequence[Capability] | None:
    """Return services that flows may call, one for each interface of the workflow world.

    Two capabilities of one name stop the host's start. They are called from many threads.
    """


@hookspec(firstresult=True)
def register_identity_provider(
    settings: HostSettings, config: LiveConfig, clock: TwoClocks
) -> IdentityProvider | None:
    """Return the provider that authenticates users elsewhere; the first that is not None is used.

    Processes that serve REST call it. Return None to leave it to another plugin.

    Args:
        settings: the host's bootstrap settings, and the plugin's own.
        config: sections of settings as they are in force; `opened` opens their secrets.
        clock: the host's clock.
    """


@hookspec(firstresult=True)
def register_tracer(settings: HostSettings, config: LiveConfig) -> Tracer | None:
    """Return what takes the spans of requests and flows; the first that is not None is used.

    Processes that serve REST or run flows call it. Return None to leave it to another plugin.

    Args:
        settings: the host's bootstrap settings, and the plugin's own.
        config: sections of settings as they are in force; `opened` opens their secrets.
    """


@hookspec
def register_rest_routes(
    settings: HostSettings, config: LiveConfig, gate: Gate
) -> Sequence[BaseRoute] | None:
    """Return routes of the REST server outside `/api`; they do their own access control.

    Args:
        settings: the host's bootstrap settings, and the plugin's own.
        config: sections of settings as they are in force.
        gate: signs people in, and calls operations of REST for them.
    """


@hookspec(firstresult=True)
def register_signing_key(
    uri: str, password: str | None, certificates: Sequence[AnyCertificate]
) -> SigningKey | None:
    """Return the key that a URI names; the first result that is not None is used.

    The commands that sign packages call it, not the host. Return None for an unknown scheme.

    Args:
        uri: what `--key` gave, such as `pkcs11:token=signing;object=release`.
        password: password or PIN, None when none was given.
        certificates: the key's certificate and issuers, if they are not kept with the key.
    """


@hookspec(firstresult=True)
def build_component(language: str, world: CodeWorld, source: Path) -> bytes | None:
    """Return the component built from sources of a language; the first that is not None is used.

    `cordbox cordapp build` calls it, not the host. Return None for an unknown language. The result
    is checked like any component: it may import and export only what its world has. An attribute
    `LANGUAGES` of the plugin, a collection of names, tells which languages it supports.

    Args:
        language: the key `language` of `cordapp.toml`.
        world: the world that the component must fit.
        source: the folder with the sources.

    Raises:
        ToolchainMissingError: a tool is not installed; names the package to install.
        ToolchainFailedError: the tool reports an error.
    """
