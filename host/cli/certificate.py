"""`cordbox certificate`: the certificates of a running host and of its virtual nodes."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from host.cli.host_options import Connect, host_options
from host.cli.lines import tell, tell_done, tell_json
from host.cli.package_options import EXISTING_FILE, output_option
from host.cli.pretty import PrettyGroup

if TYPE_CHECKING:
    from host.tools.client.host_client import HostClient

_node_option = click.option(
    "--node", metavar="NODE", help="Of this virtual node, by short hash or X.500 name."
)


@click.group("certificate", cls=PrettyGroup)
def command() -> None:
    """Upload and list certificates of the host, or of one of its virtual nodes.

    USAGE is Corda's: `code-signer`, `p2p-tls`, `p2p-session`, `rest-tls`, or one more that the host
    names in its refusal.
    """


@command.command("upload")
@click.argument("usage")
@click.argument("alias")
@click.argument("file", type=EXISTING_FILE)
@_node_option
@host_options
@output_option
def upload(
    *, connect: Connect, usage: str, alias: str, file: Path, node: str | None, output: str
) -> None:
    """Store the certificates of the PEM FILE for USAGE as ALIAS; those before are replaced."""
    from cpi.package.files import read_limited

    files = {"certificate": (file.name, read_limited(file))}
    with connect() as client:
        client.upload("PUT", _place(client, usage, node), files, {"alias": alias})
    tell_done(output, f"{usage}:  {alias}", usage=usage, alias=alias)


@command.command("list")
@click.argument("usage")
@_node_option
@host_options
@output_option
def list_aliases(*, connect: Connect, usage: str, node: str | None, output: str) -> None:
    """List the aliases of the certificates for USAGE."""
    with connect() as client:
        found = list(client.texts(_place(client, usage, node)))
    if output == "json":
        tell_json({"aliases": found})
        return
    for alias in found:
        tell((alias,))


@command.command("get")
@click.argument("usage")
@click.argument("alias")
@_node_option
@host_options
def get(*, connect: Connect, usage: str, alias: str, node: str | None) -> None:
    """Print the certificates for USAGE that are stored as ALIAS, in PEM."""
    with connect() as client:
        found = client.ask("GET", f"{_place(client, usage, node)}/{quote(alias, safe='')}")
    for line in found.decode(errors="replace").splitlines():
        tell((line,))


def _place(client: "HostClient", usage: str, node: str | None) -> str:
    from host.tools.client.named_nodes import node_named

    of = "cluster" if node is None else f"vnode/{node_named(client, node)}"
    return f"/certificate/{of}/{quote(usage, safe='')}"
