"""`cordbox key`: the keys of virtual nodes and of a running host."""

from typing import TYPE_CHECKING, TypedDict
from urllib.parse import quote

import click

from host.cli.host_options import Connect, host_options
from host.cli.lines import tell_json, tell_table
from host.cli.package_options import output_option
from host.cli.pretty import PrettyGroup

if TYPE_CHECKING:
    from host.tools.client.host_client import HostClient

_CLUSTER = ("p2p", "rest")
_PAGE = 1000


class _Key(TypedDict):
    keyId: str
    alias: str
    hsmCategory: str
    scheme: str
    created: str


class _Made(TypedDict):
    id: str


@click.group("key", cls=PrettyGroup)
def command() -> None:
    """Make and list keys.

    TENANT is a virtual node's short hash or X.500 name, or `p2p` or `rest` for keys of the host.
    """


@command.command("list")
@click.argument("tenant")
@click.option("--category", help="Only keys of this category, such as LEDGER.")
@host_options
@output_option
def list_keys(*, connect: Connect, tenant: str, category: str | None, output: str) -> None:
    """List the keys of TENANT."""
    from host.tools.client.answers import shaped

    query = {} if category is None else {"category": category}
    found: list[_Key] = []
    with connect() as client:
        path = f"/key/{_tenant(client, tenant)}"
        while len(found) % _PAGE == 0:  # a page that is not full is the last
            page = client.get(path, skip=len(found), take=_PAGE, **query)
            more = list(shaped(page, dict[str, _Key], path).values())
            found += more
            if not more:
                break
    if output == "json":
        tell_json({"keys": found})
        return
    rows = [(k["keyId"], k["hsmCategory"], k["scheme"], k["alias"]) for k in found]
    tell_table(("id", "category", "scheme", "alias"), rows)


@command.command("create")
@click.argument("tenant")
@click.argument("alias")
@click.option("--category", required=True, help="What it is for, such as LEDGER or SESSION_INIT.")
@click.option("--scheme", default="CORDA.ECDSA.SECP256R1", show_default=True, help="Its algorithm.")
@host_options
@output_option
def create(
    *, connect: Connect, tenant: str, alias: str, category: str, scheme: str, output: str
) -> None:
    """Make a key of TENANT named ALIAS, and print its id.

    The host keeps it wrapped in its database (Corda's soft HSM), which is assigned if it is not.
    """
    from host.tools.client.answers import shaped

    with connect() as client:
        owner, kind = _tenant(client, tenant), quote(category, safe="")
        client.post(f"/hsm/soft/{owner}/{kind}")
        path = (
            f"/key/{owner}/alias/{quote(alias, safe='')}"
            f"/category/{kind}/scheme/{quote(scheme, safe='')}"
        )
        found = shaped(client.post(path), _Made, path)
    if output == "json":
        tell_json(found)
    else:
        click.echo(found["id"])


def _tenant(client: "HostClient", text: str) -> str:
    from host.tools.client.named_nodes import node_named

    return text if text in _CLUSTER else node_named(client, text)
