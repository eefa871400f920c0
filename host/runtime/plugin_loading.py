"""Loads plugins by name, so that the host depends on none of them."""

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import pluggy

from host.domain.errors import HostError
from host.runtime import hookspecs
from host.settings.plugged import PluginSettings

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

_BUILT_IN = {
    "console": "plugins.console",
    "embedded": "plugins.embedded",
    "kafka": "plugins.kafka",
    "oidc": "plugins.oidc",
    "otel": "plugins.otel",
    "pkcs11_hsm": "plugins.pkcs11_hsm",
    "postgres": "plugins.postgres",
    "toolchains": "plugins.toolchains",
}
"""Name of a plugin that comes with Cordbox -> its module."""


SETTING_PLUGINS = ("kafka", "oidc", "otel")
"""Built-in plugins that declare settings."""


class PluginUnknownError(HostError):
    """A plugin that the settings name is not installed, or entry points are switched off."""

    code = "plugin-unknown"


class PluginInvalidError(HostError):
    """A plugin implements an unknown hook, or one with other parameters."""

    code = "plugin-invalid"


def make_plugin_manager(
    enabled: Sequence[str], *, with_entry_points: bool = False
) -> pluggy.PluginManager:
    """A manager with the plugins `enabled`; if two provide the same object, the later one is used.

    Args:
        enabled: names of built-in plugins or of entry points of the group `cordbox`.
        with_entry_points: whether entry points of installed packages may be loaded.

    Raises:
        PluginUnknownError: nothing has the name.
        PluginInvalidError: a plugin implements an unknown hook.
    """
    plugins = pluggy.PluginManager(hookspecs.PROJECT)
    plugins.add_hookspecs(hookspecs)
    for name in enabled:
        try:
            plugins.register(_load(name, with_entry_points=with_entry_points), name=name)
        except (pluggy.PluginValidationError, ValueError) as error:
            raise PluginInvalidError(f"plugin {name!r}: {error}") from error
    try:
        plugins.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginInvalidError(str(error)) from error
    return plugins


def declared_settings(enabled: Sequence[str], with_entry_points: bool) -> Sequence[PluginSettings]:  # noqa: FBT001  # it is a `Declare` of host.settings.loading
    """The settings that the plugins `enabled` declare.

    Built-in plugins without any are not loaded, which keeps the supervisor small.

    Raises:
        PluginUnknownError: nothing has the name.
        PluginInvalidError: a plugin implements an unknown hook.
    """
    others = [name for name in enabled if name not in _BUILT_IN or name in SETTING_PLUGINS]
    if not others:
        return ()
    return plugin_settings(make_plugin_manager(others, with_entry_points=with_entry_points))


def plugin_settings(plugins: pluggy.PluginManager) -> Sequence[PluginSettings]:
    """The settings that loaded plugins declare.

    Raises:
        PluginInvalidError: one returns an object of another type.
    """
    declared = list(plugins.hook.register_settings())
    for each in declared:
        if not isinstance(each, PluginSettings):
            raise PluginInvalidError(
                f"a plugin's register_settings gave {type(each).__name__}, expected PluginSettings"
            )
    return declared


def _load(name: str, *, with_entry_points: bool) -> object:
    if name in _BUILT_IN:
        return import_module(_BUILT_IN[name])
    for point in _entry_points(name) if with_entry_points else ():
        plugin: object = point.load()
        return plugin
    hint = "" if with_entry_points else "; plugin_entry_points is off"
    raise PluginUnknownError(
        f"plugin {name!r} is none of {', '.join(sorted(_BUILT_IN))} and no entry point{hint}"
    )


def _entry_points(name: str) -> "EntryPoints":
    # Loaded where entry points are switched on: it reads the metadata of packages as e-mails.
    from importlib.metadata import entry_points  # noqa: PLC0415

    return entry_points(group=hookspecs.PROJECT, name=name)
