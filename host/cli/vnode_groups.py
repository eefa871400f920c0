"""Static groups that leave and arrive: `cordbox vnode ... --group`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from host.cli.host_options import Connect
from host.cli.lines import tell, tell_json

if TYPE_CHECKING:
    from host.tools.client.host_client import HostClient
    from host.tools.network.answer_shapes import GroupLocation

group_option = click.option(
    "--group",
    "is_group",
    is_flag=True,
    help="All members of a static network together: give its group id in place of a node, and a"
    " folder in place of a file.",
)


def export_group(
    connect: Connect, group: str, folder: Path, key: tuple[str, str | None], output: str
) -> None:
    """Write the files of a group's nodes; `key` is the recipient, and what a passphrase opens."""
    from host.tools.network import group_moves

    recipient, identity = key
    with connect() as client:
        found = group_moves.export(
            client, group, folder, recipient=recipient, identity=identity, report=told
        )
    if output == "json":
        tell_json({**found, "folder": str(folder)})
        return
    for each in found["exports"]:
        tell((each["holdingIdentityShortHash"], str(folder)))


def import_group(connect: Connect, folder: Path, identity: str | None, output: str) -> None:
    """Load the files of a group's nodes."""
    from host.tools.network import group_moves

    with connect() as client:
        nodes = group_moves.load(client, folder, identity, told)
    if output == "json":
        tell_json({"holdingIdentityShortHashes": nodes})
        return
    for node in nodes:
        click.echo(node)


def activate_group(
    connect: Connect, group: str, *, is_unfenced: bool, is_uniqueness_current: bool, output: str
) -> None:
    """Let an imported group work."""
    from host.tools.network import group_moves

    with connect() as client:
        found = group_moves.activate(
            client, group, is_unfenced=is_unfenced, is_uniqueness_current=is_uniqueness_current
        )
    tell_group(found, output)


def give_group(connect: Connect, group: str, file: Path, output: str) -> None:
    """Give an exported group to the host whose location of it is in a file."""
    from host.tools.network import group_moves
    from host.tools.network.answer_shapes import GroupLocation
    from host.tools.network.location_files import read_location

    found = read_location(file, GroupLocation)
    with connect() as client:
        tell_group(group_moves.give(client, group, found), output)


def cancel_group(connect: Connect, group: str, *, is_unfenced: bool, output: str) -> None:
    """Take an exported group back."""
    from host.tools.network import group_moves

    with connect() as client:
        found = group_moves.cancel(client, group, is_unfenced=is_unfenced)
    tell_group(found, output)


def locate_group(connect: Connect, group: str, output: str) -> None:
    """Show where the nodes of a group are."""
    from host.tools.network import group_moves

    with connect() as client:
        found = group_moves.location(client, group)
    tell_group(found, output)


def move_group(
    connect: Connect, target: "HostClient", group: str, folder: Path, output: str
) -> None:
    """Move a group with its flows."""
    from host.tools.network import group_moves

    with connect() as source, target:
        found = group_moves.move(source, target, group, folder, told)
    tell_group(found, output)


def tell_group(found: "GroupLocation", output: str) -> None:
    """A line for each node of a group."""
    if output == "json":
        tell_json(found)
        return
    for each in found["nodes"]:
        tell((each["holdingIdentityShortHash"], each["place"]))


def told(stage: str, done: int, total: int) -> None:
    """Progress on standard error."""
    of = f"/{total}" if total else " bytes"
    click.echo(f"{stage} {done}{of}" if done or total else f"{stage} ...", err=True)
