"""`cordbox ledger`: the transactions of a node of a running host."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from host.cli.host_options import Connect, host_options
from host.cli.lines import fixed_width, heading, newer, painted, some, tell_json
from host.cli.package_options import OUTPUT_FILE, output_option
from host.cli.pretty import PrettyGroup
from host.cli.values import COUNT, Moment
from host.cli.watching import watchable

if TYPE_CHECKING:
    from host.tools.client.ledgers import Near, Shown

_WORDS = ("draft", "unverified", "verified", "invalid")


@click.group("ledger", cls=PrettyGroup)
def command() -> None:
    """List, show, repair and export the transactions of a node.

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
@click.option(
    "--status",
    "statuses",
    type=click.Choice(_WORDS),
    multiple=True,
    default=("verified",),
    show_default=True,
    help="List transactions of this status; may be repeated.",
)
@click.option("--since", type=Moment(), help="Only those stored then or later; 30m: ago.")
@watchable
@host_options
@output_option
def list_transactions(
    *,
    connect: Connect,
    node: str,
    limit: int,
    statuses: tuple[str, ...],
    since: datetime | None,
    output: str,
) -> None:
    """List the transactions of NODE, the latest stored first.

    A verified transaction is final. An unverified one is not yet: its notary decides. An invalid
    one broke a rule, or was refused.
    """
    from host.domain.printable import printable
    from host.tools.client.ledgers import STATUSES, transactions

    letters = "".join(letter for letter, word in STATUSES.items() if word in statuses)
    with connect() as client:
        recorded = transactions(client, node, letters)
        found = some(newer(recorded, "timestamp", since), limit, "transactions")
    if output == "json":
        tell_json(found)
        return
    click.echo(heading(f"{'TIME':27}  {'STATUS':10}  TRANSACTION"))
    for each in found:
        word = STATUSES.get(each["status"], each["status"])
        cells = (f"{fixed_width(each['timestamp']):27}", f"{word:10}", each["id"])
        click.echo("  ".join(painted(printable(cell)) for cell in cells))


@command.command("show")
@click.argument("node")
@click.argument("transaction")
@click.option(
    "--around", is_flag=True, help="Also the transactions before and after it, at most 100 each."
)
@host_options
@output_option
def show(*, connect: Connect, node: str, transaction: str, around: bool, output: str) -> int:
    """Show TRANSACTION of NODE: its status, who signed it, who verified it with which code.

    TRANSACTION is an identifier, SHA-256D:<64 hexadecimal digits>. The exit status is 1 if a
    counterparty's verification came to another outcome than the node's own: one of the two saw
    other states, or ran other code.
    """
    from host.domain.printable import printable
    from host.tools.client.ledgers import shown

    with connect() as client:
        found = shown(client, node, transaction, around=around)
    if output == "json":
        tell_json(found)
    else:
        for line in _lines(found):
            click.echo(printable(line))
    differing = [each for each in found["verifications"] if each["differs"]]
    for each in differing:
        click.echo(
            printable(
                f"Error: {each['party']} verified CPK {each['cpk']} with outcome"
                f" {each['outcome']}: expected that of the node"
            ),
            err=True,
        )
    return 1 if differing else 0


def _lines(found: "Shown") -> Iterator[str]:
    from host.tools.client.ledgers import STATUSES

    reason = f" ({found['reason']})" if found["reason"] else ""
    yield f"transaction  {found['id']}"
    yield f"status       {STATUSES.get(found['status'], found['status'])}{reason}"
    yield f"origin       {found['origin']}"
    yield f"stored       {found['createdAt']}"
    yield f"recorded     {found['recordedAt'] or '-'}"
    yield f"visible      {', '.join(map(str, found['visible'])) or '-'}"
    yield f"parties      {'; '.join(found['parties']) or '-'}"
    for signature in found["signatures"]:
        kind = "notary" if signature["isNotary"] else "signatory"
        yield f"signed       {signature['timestamp']}  key {signature['keyId']} ({kind})"
    for each in found["verifications"]:
        mark = "  DIFFERS" if each["differs"] else ""
        yield f"{each['verdict']:11}  by {each['party'] or 'this node'}{mark}"
        for name in ("cpk", "code", "engine", "outcome", "run"):
            yield f"  {name:9}  {each[name]}"
        yield f"  {'fuel':9}  {each['fuel']}"
    if found["around"] is not None:
        yield from _near("before", found["around"]["before"])
        yield from _near("after", found["around"]["after"])
        if found["around"]["isCut"]:
            yield "there are more"


def _near(place: str, found: "Sequence[Near]") -> Iterator[str]:
    from host.tools.client.ledgers import STATUSES

    for each in found:
        word = STATUSES.get(each["status"] or "", "not here")
        yield f"{place:11}  {each['id']}  {word}"


@command.command("repair")
@click.argument("node")
@click.argument("transaction")
@host_options
@output_option
def repair(*, connect: Connect, node: str, transaction: str, output: str) -> None:
    """Have NODE ask the notary now what came of TRANSACTION.

    For a transaction that is unverified, or that a counterparty refused. A node does so by itself,
    at growing intervals, until five days after the end of the transaction's time window. `ledger
    show` tells what came of it.
    """
    from host.domain.printable import printable
    from host.tools.client.ledgers import STATUSES, repaired

    with connect() as client:
        made = repaired(client, node, transaction)
    if output == "json":
        tell_json(made)
        return
    word = STATUSES.get(made["status"], made["status"])
    outcome = "its notary is asked now" if made["isDue"] else "nothing is to be repaired"
    click.echo(printable(f"transaction {made['id']} is {word}: {outcome}"))


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
    from host.tools.client.ledgers import Chosen, exported

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
