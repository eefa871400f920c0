"""`cordbox permission`: the permissions of a running host."""

from typing import TYPE_CHECKING

import click

from host.cli.host_options import Connect, host_options
from host.cli.lines import tell_json, tell_table
from host.cli.package_options import output_option
from host.cli.pretty import PrettyGroup

if TYPE_CHECKING:
    from host.domain.json import JsonValue

_EFFECTS = click.Choice(("ALLOW", "DENY"), case_sensitive=False)


@click.group("permission", cls=PrettyGroup)
def command() -> None:
    """Make and list permissions: regular expressions of what is allowed or denied."""


@command.command("create")
@click.argument("pattern", metavar="PATTERN")
@click.option("--type", "effect", type=_EFFECTS, default="ALLOW", show_default=True)
@click.option("--node", help="Short hash of the virtual node whose actions alone it concerns.")
@click.option("--role", "roles", multiple=True, help="A role that gets it; repeatable.")
@host_options
@output_option
def create(
    *,
    connect: Connect,
    pattern: str,
    effect: str,
    node: str | None,
    roles: tuple[str, ...],
    output: str,
) -> None:
    """Make a permission such as `GET:/api/v5_2/cpi`, give it to roles, and print its id."""
    from host.tools.client.rbac import permission_created

    wanted: dict[str, JsonValue] = {"permissionType": effect.upper(), "permissionString": pattern}
    if node is not None:
        wanted["virtualNode"] = node
    with connect() as client:
        made = permission_created(client, wanted, roles)
    if output == "json":
        tell_json({"id": made})
    else:
        click.echo(made)


@command.command("list")
@click.option("--type", "effect", type=_EFFECTS, default="ALLOW", show_default=True)
@click.option("--prefix", help="Only those whose patterns begin with this.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many."
)
@host_options
@output_option
def list_permissions(
    *, connect: Connect, effect: str, prefix: str | None, limit: int, output: str
) -> None:
    """List permissions in the order of their patterns."""
    from host.tools.client.answers import shaped
    from host.tools.client.rbac import PermissionShown

    query: dict[str, str | int] = {"permissiontype": effect.upper(), "limit": limit}
    if prefix is not None:
        query["permissionstringprefix"] = prefix
    with connect() as client:
        found = client.get("/permission", **query)
    permissions = shaped(found, list[PermissionShown], "/permission")
    if output == "json":
        tell_json({"permissions": found})
        return
    tell_table(
        ("ID", "NODE", "PATTERN"),
        [(p["id"], p["virtualNode"] or "-", p["permissionString"]) for p in permissions],
    )
