"""The settings that a host started here would have, for commands that start none."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from host.cli.package_options import EXISTING_FILE

if TYPE_CHECKING:
    from host.ports.storage import DatabaseUpkeep
    from host.settings import HostSettings

DEFAULT_FILE = Path("cordbox.toml")

settings_option = click.option(
    "--settings",
    "settings_file",
    type=EXISTING_FILE,
    help="TOML settings of the host; default: cordbox.toml in this directory, if it exists.",
)


def offline_settings(file: Path | None) -> "HostSettings":
    """The settings that a host started here would have; its data directory is not accessed."""
    from host.runtime.plugin_loading import declared_settings
    from host.settings import load_settings

    return load_settings(
        options={"data_dir": Path()},
        file=file or default_settings_file(),
        environment=os.environ,
        declare=declared_settings,
    )


def database_upkeep(file: Path | None) -> "DatabaseUpkeep | None":
    """What looks after the database that the settings name; None if they name none."""
    from host.runtime.plugin_loading import make_plugin_manager

    settings = offline_settings(file)
    plugins = make_plugin_manager(
        settings.loaded_plugins, with_entry_points=settings.plugin_entry_points
    )
    found: DatabaseUpkeep | None = plugins.hook.register_database_upkeep(settings=settings)
    return found


def default_settings_file() -> Path | None:
    """The settings file of this directory, if there is one."""
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None
