"""`cordbox config`: show sections of settings, and the source of each value."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from host.cli.config_stored import get, put
from host.cli.lines import json_text, tell_json
from host.cli.offline_settings import default_settings_file, settings_option
from host.cli.package_options import output_option
from host.cli.pretty import PrettyGroup

if TYPE_CHECKING:
    from host.settings import HostSettings
    from host.settings.catalogue import Catalogue
    from host.settings.changes import SectionView

_data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Data directory of the host; default: that of its settings.",
)


@click.group("config", cls=PrettyGroup)
def command() -> None:
    """Look at sections of settings, and where each value comes from.

    The host may run; `get` and `put` need it to. For the others its own settings are those that a
    host would have that is started here.
    """


command.add_command(get)
command.add_command(put)


@command.command("show")
@click.argument("section", required=False)
@_data_dir_option
@settings_option
@output_option
def show(
    section: str | None, *, data_dir: Path | None, settings_file: Path | None, output: str
) -> None:
    """Show each key of SECTION with its value: pinned, stored or by default; or list all sections.

    Pinned is what the command line, the environment or the settings file give: it wins over what is
    stored in the cluster.
    """
    from host.settings.changes import view_of
    from host.settings.reading import read_stored

    settings, catalogue = _known(data_dir, settings_file)
    stored = read_stored(settings.data_dir)
    wanted = catalogue.sections.values() if section is None else [catalogue.section(section)]
    views = [view_of(each, stored.get(each.name), settings.pins) for each in wanted]
    if output == "json":
        found = [_json(view) for view in views]
        tell_json(found if section is None else found[0])
        return
    for view in views:
        click.echo(_heading(view))
        for key in view.keys if section is not None else ():
            click.echo(f"  {key.key.name} = {json_text(key.value)}  ({key.source})")


@command.command("schema")
@click.argument("section")
@_data_dir_option
@settings_option
def schema(section: str, *, data_dir: Path | None, settings_file: Path | None) -> None:
    """Print the JSON Schema of SECTION."""
    from host.settings.schema import schema_of

    _, catalogue = _known(data_dir or Path(), settings_file)
    tell_json(schema_of(catalogue.section(section)))


def _known(data_dir: Path | None, settings_file: Path | None) -> tuple["HostSettings", "Catalogue"]:
    """The settings that a host started here would have, and the catalogue of all settings."""
    from host.runtime.plugin_loading import declared_settings
    from host.settings import load_settings
    from host.settings.catalogue import Catalogue

    settings = load_settings(
        options={"data_dir": data_dir},
        file=settings_file or default_settings_file(),
        environment=os.environ,
        declare=declared_settings,
    )
    return settings, Catalogue(declared_settings(settings.plugins, settings.plugin_entry_points))


def _heading(view: "SectionView") -> str:
    if view.changed_at is None:
        return f"{view.section.name}: nothing is stored"
    at = datetime.fromtimestamp(view.changed_at / 1000, UTC).isoformat(timespec="seconds")
    return f"{view.section.name}: version {view.version} of {at}, by {view.changed_by}"


def _json(view: "SectionView") -> dict[str, Any]:
    version = view.section.version
    return {
        "section": view.section.name,
        "version": view.version,
        "schemaVersion": {"major": version.major, "minor": version.minor},
        "sourceConfig": view.source_config,
        "configWithDefaults": view.config_with_defaults,
        "changedAt": view.changed_at,
        "changedBy": view.changed_by,
        "keys": [
            {
                "key": each.key.name,
                "value": each.value,
                "origin": each.origin.value,
                "source": each.source,
                "takesEffectAtOnce": each.key.is_live,
            }
            for each in view.keys
        ],
    }
