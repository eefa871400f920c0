"""`cordbox config get|put`: the stored sections of settings of a running host."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from host.cli.host_options import Connect, host_options
from host.cli.lines import json_text, tell, tell_json
from host.cli.package_options import output_option

if TYPE_CHECKING:
    from host.tools.client.host_client import HostClient

_CHARACTERS_MAX = 1024 * 1024


@click.command("get")
@click.argument("section")
@click.option("--stored", is_flag=True, help="Only what is stored, without pins and defaults.")
@host_options
@output_option
def get(*, connect: Connect, section: str, stored: bool, output: str) -> None:
    """Show SECTION of a running host, such as corda.rest: its version, and what is in force."""
    from host.tools.client.answers import parsed, shaped

    with connect() as client:
        found = _section(client, section)
    text = found["sourceConfig" if stored else "configWithDefaults"]
    place = f"section {section}"
    values = shaped(parsed(text.encode(), place), dict[str, Any], place)
    if output == "json":
        tell_json({"section": section, "version": found["version"], "config": values})
        return
    tell(("version:", found["version"]))
    for key, value in sorted(values.items()):
        tell((f"{key}:", json_text(value)))


@click.command("put")
@click.argument("section")
@click.argument("values", metavar="JSON")
@click.option(
    "--version",
    type=click.IntRange(0, 2**31 - 1),
    help="That the change is based on; by default the one that the host has now.",
)
@host_options
@output_option
def put(*, connect: Connect, section: str, values: str, version: int | None, output: str) -> None:
    """Replace the stored values of SECTION by the object JSON, or `-` for standard input.

    Keys that it leaves out get their defaults. If somebody else has changed the section since
    --version, the host refuses.
    """
    from host.tools.client.answers import shaped
    from host.tools.network.answer_shapes import ChangedConfig

    config = _object(values)
    with connect() as client:
        found = _section(client, section)
        body = {
            "section": section,
            "version": found["version"] if version is None else version,
            "config": config,
            "schemaVersion": dict(found["schemaVersion"]),
        }
        done = shaped(client.put("/config", body), ChangedConfig, "/config")
    if output == "json":
        tell_json(done)
    else:
        tell(("version:", done["version"]))


def _section(client: "HostClient", section: str) -> Any:
    from urllib.parse import quote

    from host.tools.client.answers import shaped
    from host.tools.network.answer_shapes import Config

    path = f"/config/{quote(section, safe='')}"
    return shaped(client.get(path), Config, path)


def _object(text: str) -> dict[str, Any]:
    given = sys.stdin.read(_CHARACTERS_MAX + 1) if text == "-" else text
    if len(given) > _CHARACTERS_MAX:
        raise click.UsageError(f"JSON has more than {_CHARACTERS_MAX} characters")
    try:
        value = json.loads(given)
    except (ValueError, RecursionError) as refused:
        raise click.UsageError(f"JSON: {refused}") from refused
    if not isinstance(value, dict):
        raise click.UsageError(f"JSON: expected an object, found {given[:64]!r}")
    return value
