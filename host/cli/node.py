"""`cordbox node`: what a virtual node of a running host may use, and what it used."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NotRequired, TypedDict

import click

from host.cli.host_options import Connect, host_options
from host.cli.lines import tell_json
from host.cli.package_options import output_option
from host.cli.pretty import PrettyGroup
from host.cli.watching import watchable

if TYPE_CHECKING:
    from host.tools.client.host_client import HostClient


_Numbers = dict[str, int]


class _Quotas(TypedDict):
    holdingIdentityShortHash: NotRequired[str]
    quota: _Numbers
    defaults: _Numbers
    overrides: _Numbers
    grantedCapabilities: NotRequired[list[str]]


class _Account(TypedDict):
    bytes: int
    bytesMax: int | None


class _Hits(TypedDict):
    count: int
    lastTimestamp: str


class _Usage(TypedDict):
    holdingIdentityShortHash: NotRequired[str]
    runs: int
    fuel: int
    wallMs: int
    hostCalls: int
    hostCallMs: int
    logBytes: int
    calls: _Numbers
    hits: dict[str, _Hits]
    accounts: dict[str, _Account]
    storageBytes: int
    flowsOpen: int
    since: str | None


@click.group("node", cls=PrettyGroup)
def command() -> None:
    """Limit and watch virtual nodes.

    NODE is a virtual node's short hash or X.500 name.
    """


@command.command("quota")
@click.argument("node")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Set; repeatable.")
@click.option("--unset", multiple=True, metavar="NAME", help="Give the default; repeatable.")
@click.option("--reset", is_flag=True, help="Give all defaults first.")
@host_options
@output_option
def quota(
    *,
    connect: Connect,
    node: str,
    changes: tuple[str, ...],
    unset: tuple[str, ...],
    reset: bool,
    output: str,
) -> None:
    """Show the quota of NODE, after it was changed if that is asked for."""
    from host.tools.client.answers import shaped

    wanted = dict(_change(text) for text in changes)
    with connect() as client:
        path = f"/virtualnode/{_short_hash(client, node)}/quota"
        answer = shaped(client.get(path), _Quotas, path)
        if wanted or unset or reset:
            kept = {} if reset else dict(answer["overrides"])
            overrides = {k: v for k, v in kept.items() if k not in unset} | wanted
            answer = shaped(client.put(path, {"overrides": overrides}), _Quotas, path)
    if output == "json":
        tell_json(answer)
        return
    for name, value in answer["quota"].items():
        default = answer["defaults"][name]
        note = f"  (default {default:,})" if name in answer["overrides"] else ""
        click.echo(f"{name:<24}{value:>20,}{note}")


@command.command("usage")
@click.argument("node")
@watchable
@host_options
@output_option
def usage(*, connect: Connect, node: str, output: str) -> None:
    """Show what NODE used, and which quotas it hit."""
    from host.domain.quotas import USAGE_COUNTERS
    from host.tools.client.answers import shaped

    with connect() as client:
        path = f"/virtualnode/{_short_hash(client, node)}/usage"
        answer = shaped(client.get(path), _Usage, path)
    if output == "json":
        tell_json(answer)
        return
    click.echo(f"since {answer['since'] or 'nothing ran yet'}")
    counted: Mapping[str, object] = answer
    for name in USAGE_COUNTERS:
        click.echo(f"{name:<28}{counted[name]:>20,}")
    for account, held in answer["accounts"].items():
        most = held["bytesMax"]
        limit = "" if most is None else f"  of {most:,}"
        click.echo(f"{account:<28}{held['bytes']:>20,}  bytes{limit}")
    for function, count in answer["calls"].items():
        click.echo(f"{function:<28}{count:>20,}  calls")
    for code, hit in answer["hits"].items():
        click.echo(f"{code:<28}{hit['count']:>20,}  hits, last {hit['lastTimestamp']}")


def _change(text: str) -> tuple[str, int]:
    name, _, value = text.partition("=")
    digits = value.replace("_", "")
    if not name or not digits.isascii() or not digits.isdigit() or len(digits) > 20:
        raise click.UsageError(f"--set {text[:64]!r}: expected NAME=VALUE with a whole number")
    return name, int(digits)


def _short_hash(client: "HostClient", node: str) -> str:
    from host.tools.client.named_nodes import node_named

    return node_named(client, node)
