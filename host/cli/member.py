"""`cordbox member`: the members that a virtual node of a running host sees."""

import click

from host.cli.host_options import Connect, host_options
from host.cli.lines import limit_option, some, tell_json, tell_table
from host.cli.package_options import output_option
from host.cli.pretty import PrettyGroup
from host.cli.watching import watchable


@click.group("member", cls=PrettyGroup)
def command() -> None:
    """List the members of a network.

    NODE is a virtual node's short hash or X.500 name.
    """


@command.command("list")
@click.argument("node")
@limit_option
@watchable
@host_options
@output_option
def list_members(*, connect: Connect, node: str, limit: int, output: str) -> None:
    """List the members that NODE sees; `cordbox network lookup members` has filters."""
    from host.tools.client.answers import shaped
    from host.tools.client.named_nodes import node_named
    from host.tools.network.answer_shapes import Member

    with connect() as client:
        path = f"/members/{node_named(client, node)}"
        all_members = (shaped(each, Member, path) for each in client.items(path, "members"))
        found = some(all_members, limit, "members")
    if output == "json":
        tell_json({"members": found})
        return
    rows = [
        (
            each["mgmContext"].get("corda.status") or "",
            each["mgmContext"].get("corda.serial") or "",
            each["memberContext"].get("corda.name") or "",
        )
        for each in found
    ]
    tell_table(("status", "serial", "name"), rows)
