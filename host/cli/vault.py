"""`cordbox vault`: the vault of a node of a running host."""

import click

from host.cli.host_options import Connect, host_options
from host.cli.lines import tell_json
from host.cli.package_options import output_option
from host.cli.pretty import PrettyGroup


@click.group("vault", cls=PrettyGroup)
def command() -> None:
    """Rebuild what the vault of a node keeps of states.

    NODE is a virtual node's short hash or X.500 name.
    """


@command.command("rebuild")
@click.argument("node")
@host_options
@output_option
def rebuild(*, connect: Connect, node: str, output: str) -> None:
    """Have NODE run the vault functions of its CPI again, for all transactions it has verified.

    After an upgrade that changed which states a node keeps, their JSON or their tokens, or after
    such functions have failed. The node goes on meanwhile; `vault rebuilds` tells how far it is.
    """
    from host.domain.printable import printable
    from host.tools.client.ledgers import rebuilt

    with connect() as client:
        made = rebuilt(client, node)
    if output == "json":
        tell_json(made)
    elif made["requestId"] is None:
        click.echo("the vault has no verified transaction: nothing is to be rebuilt")
    else:
        click.echo(printable(f"rebuild {made['requestId']} has begun"))


@command.command("rebuilds")
@click.argument("node")
@host_options
@output_option
def rebuilds(*, connect: Connect, node: str, output: str) -> None:
    """List the last rebuilds of NODE's vault and how far they are, the latest first.

    Each line has the transactions that were looked at, those that the node had verified when the
    rebuild was asked for, and how many of them were changed, or left because a function failed.
    """
    from host.domain.printable import printable
    from host.tools.client import ledgers

    with connect() as client:
        found = ledgers.rebuilds(client, node)
    if output == "json":
        tell_json(found)
        return
    for each in found:
        counts = f"{each['transactions']} of {each['total']}"
        rest = f"{each['changed']} changed, {each['failed']} failed"
        line = f"{each['startedAt']:27}  {each['status']:9}  {each['requestId']}  {counts}, {rest}"
        click.echo(printable(line))
