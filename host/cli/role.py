"""`cordbox role`: the roles of a running host."""

from typing import TYPE_CHECKING

import click

from host.cli.host_options import Connect, host_options
from host.cli.lines import tell_json, tell_table
from host.cli.package_options import output_option
from host.cli.pretty import PrettyGroup

if TYPE_CHECKING:
    from host.tools.client.host_client import HostClient


@click.group("role", cls=PrettyGroup)
def command() -> None:
    """Make roles, and give them permissions. ROLE is a role's name or identifier."""


@command.command("list")
@host_options
@output_option
def list_roles(*, connect: Connect, output: str) -> None:
    """List the roles of the host by name."""
    from host.tools.client.rbac import roles

    with connect() as client:
        found = roles(client)
    if output == "json":
        tell_json({"roles": found})
        return
    tell_table(
        ("ID", "PERMISSIONS", "NAME"),
        [(each["id"], len(each["permissions"]), each["roleName"]) for each in found],
    )


@command.command("create")
@click.argument("name")
@host_options
@output_option
def create(*, connect: Connect, name: str, output: str) -> None:
    """Make a role without permissions, and print its identifier."""
    with connect() as client:
        _tell(client.post("/role", {"roleName": name}), output)


@command.command("add-permission")
@click.argument("role")
@click.argument("permission_id", metavar="PERMISSION")
@host_options
@output_option
def add_permission(*, connect: Connect, role: str, permission_id: str, output: str) -> None:
    """Give ROLE the permission of an identifier; it counts from the next request on."""
    with connect() as client:
        _change(client, "PUT", role, permission_id, output)


@command.command("remove-permission")
@click.argument("role")
@click.argument("permission_id", metavar="PERMISSION")
@host_options
@output_option
def remove_permission(*, connect: Connect, role: str, permission_id: str, output: str) -> None:
    """Take a permission from ROLE."""
    with connect() as client:
        _change(client, "DELETE", role, permission_id, output)


def _change(client: "HostClient", method: str, role: str, permission_id: str, output: str) -> None:
    from host.tools.client.rbac import changed, role_id

    path = f"/role/{role_id(client, role)}/permission/{permission_id}"
    _tell(changed(client, method, path), output)


def _tell(answer: object, output: str) -> None:
    from host.tools.client.answers import shaped
    from host.tools.network.answer_shapes import Role

    role = shaped(answer, Role, "/role")
    if output == "json":
        tell_json(answer)
    else:
        click.echo(role["id"])
