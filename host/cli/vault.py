"""`cordbox vault`: the vault of a node of a running host."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from host.cli.host_options import host_options
from host.cli.package_options import output_option
from host.cli.pretty import PrettyGroup

if TYPE_CHECKING:
    from host.tools.host_client import HostClient

Connect = Callable[[], "HostClient"]


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
    such functions have failed. The node goes on meanwhile. `flow list` shows the flows
    `cordbox:vault-rebuild`, whose results tell how far it is.
    """
    from host.domain.printable import printable
    from host.tools.ledgers import rebuilt

    with connect() as client:
        made = rebuilt(client, node)
    if output == "json":
        click.echo(json.dumps(made, indent=2))
    elif made["requestId"] is None:
        click.echo("the vault has no verified transaction: nothing is to be rebuilt")
    else:
        click.echo(printable(f"rebuild {made['requestId']} has begun"))
