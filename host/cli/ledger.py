"""`cordbox ledger`: the transactions that a node of a running host has recorded."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from host.cli.host_options import host_options
from host.cli.package_options import OUTPUT_FILE, output_option
from host.cli.pretty import PrettyGroup
from host.cli.values import COUNT, Moment

if TYPE_CHECKING:
    from host.tools.host_client import HostClient

Connect = Callable[[], "HostClient"]


@click.group("ledger", cls=PrettyGroup)
def command() -> None:
    """List and export the transactions that a node has recorded.

    NODE is a virtual node's short hash or X.500 name.
    """


@command.command("list")
@click.argument("node")
@click.option(
    "--limit",
    type=COUNT,
    default=100,
    show_default=True,
    help="Transactions to list at most.",
)
@host_options
@output_option
def list_transactions(*, connect: Connect, node: str, limit: int, output: str) -> None:
    """List the transactions of NODE, the latest recorded first."""
    from host.domain.printable import printable
    from host.tools.ledgers import transactions

    with connect() as client:
        recorded = transactions(client, node)
        found = list(islice(recorded, limit))
        has_more = next(recorded, None) is not None
    if output == "json":
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(f"{'RECORDED':27}  TRANSACTION")
    for each in found:
        click.echo(printable(f"{each['timestamp']:27}  {each['id']}"))
    if has_more:
        click.echo(f"There are more than {limit} transactions: see --limit.", err=True)


@command.command("export")
@click.argument("node")
@click.argument("transactions", metavar="[TRANSACTION]...", nargs=-1)
@click.option(
    "--state-type",
    metavar="TYPE",
    help="Only transactions that consume, refer to or make a state of this type.",
)
@click.option("--since", type=Moment(), help="Only those recorded then or later.")
@click.option("--until", type=Moment(), help="Only those recorded before.")
@click.option("--output-file", "-o", type=OUTPUT_FILE, help="File to write; must be new.")
@host_options
def export(
    *,
    connect: Connect,
    node: str,
    transactions: tuple[str, ...],
    state_type: str | None,
    since: datetime | None,
    until: datetime | None,
    output_file: Path | None,
) -> None:
    """Write each TRANSACTION of NODE as `contract verify` and `contract fuzz` read it.

    A TRANSACTION is an identifier, SHA-256D:<64 hexadecimal digits>. Without any, all that NODE has
    recorded are written, the oldest first. The states that a transaction consumes or refers to are
    in it. JSON Lines: one transaction a line; of one transaction the file is JSON, too.
    """
    from cpi.package.files import new_file
    from host.tools.ledgers import Chosen, exported

    if transactions and (state_type or since or until):
        raise click.UsageError("Give TRANSACTIONs, or --state-type, --since and --until, not both.")
    chosen = Chosen(state_type=state_type, since=since, until=until)
    count = 0
    with ExitStack() as stack:
        client = stack.enter_context(connect())
        lines: Iterator[bytes] = exported(client, node, transactions, chosen)
        # Nothing is written, nor a file begun, if the first one is refused.
        first = next(lines, None)
        out = stack.enter_context(new_file(output_file)) if output_file else sys.stdout.buffer
        for line in () if first is None else (first, *lines):
            out.write(line + b"\n")
            count += 1
        out.flush()
    click.echo(f"{count} transaction{'' if count == 1 else 's'}", err=True)
