"""`cordbox database`: the database that the hosts of a cluster share."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from host.cli.offline_settings import offline_settings, settings_option
from host.cli.package_options import output_option
from host.cli.pretty import PrettyGroup

if TYPE_CHECKING:
    from host.ports.storage import DatabaseUpkeep


@click.group("database", cls=PrettyGroup)
def command() -> None:
    """Look after the database that `database_url` names.

    The settings are those of a host that is started here: the settings file and the environment.
    """


@command.command("migrate")
@settings_option
def migrate(settings_file: Path | None) -> None:
    """Make missing tables, and migrate those of an older release.

    The first host that starts does the same. Vaults of nodes are migrated when they are used. Hosts
    of the older release refuse to start afterwards.
    """
    from host.runtime.wiring.schemas import CLUSTER_SCHEMAS

    _upkeep(settings_file).migrate(CLUSTER_SCHEMAS)
    click.echo("the tables are those of this release")


@command.command("check")
@settings_option
@output_option
def check(settings_file: Path | None, output: str) -> None:
    """Show whether the database suits, and which versions its tables have.

    Fails if the database would lose or disorder data, or if tables are missing, older or newer.
    """
    from host.runtime.wiring.schemas import CLUSTER_SCHEMAS

    states = _upkeep(settings_file).check(CLUSTER_SCHEMAS)
    if output == "json":
        click.echo(json.dumps([dataclasses.asdict(state) for state in states], indent=2))
    for state in states if output == "text" else ():
        stored = "missing" if state.stored is None else f"version {state.stored}"
        wanted = "" if state.is_current else f", this release has version {state.known}"
        click.echo(f"{state.place}  {state.name}: {stored}{wanted}")
    if not all(state.is_current for state in states):
        sys.exit(1)


def _upkeep(settings_file: Path | None) -> "DatabaseUpkeep":
    from host.runtime.plugin_loading import make_plugin_manager

    settings = offline_settings(settings_file)
    plugins = make_plugin_manager(
        settings.loaded_plugins, with_entry_points=settings.plugin_entry_points
    )
    found: DatabaseUpkeep | None = plugins.hook.register_database_upkeep(settings=settings)
    if found is None:
        raise click.UsageError("the settings name no database: database_url is not set")
    return found
