"""`cordbox network up|down|status`: a whole dynamic network on this machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from host.cli.dev import shell_line
from host.cli.lines import tell_json, tell_json_line
from host.cli.package_options import EXISTING_FILE, code_signer_option, output_option
from host.cli.pretty import PrettyCommand
from host.cli.progress import no_progress, show_progress

if TYPE_CHECKING:
    from host.tools.network.plan import NetworkFolder, NetworkPlan
    from host.tools.network.up import UpNode

_FOLDER = ".cordbox-network"
_HOSTS_MAX, _MEMBERS_MAX = 8, 100
_folder_option = click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(_FOLDER),
    show_default=True,
    help="Where the network lives.",
)


@click.command("up", cls=PrettyCommand)
@click.option(
    "--members",
    "count",
    type=click.IntRange(0, _MEMBERS_MAX),
    default=2,
    show_default=True,
    help="Number of members beside the notary.",
)
@click.option("--member", "names", multiple=True, help="X.500 name of a member; repeatable.")
@click.option(
    "--hosts",
    "--clusters",
    "hosts",
    type=click.IntRange(1, _HOSTS_MAX),
    default=1,
    show_default=True,
    help="Number of hosts, each a cluster of its own; members are spread over them.",
)
@click.option("--notary", "has_notary", is_flag=True, help="Have a notary, on the first host.")
@click.option("--cpb", type=EXISTING_FILE, help="Signed CPB that members run; default: a greeter.")
@code_signer_option
@click.option("--mutual-tls", "is_mutual", is_flag=True, help="Gateways show certificates, too.")
@click.option("--manual-approval", is_flag=True, help="Each registration waits for an operator.")
@click.option("--session-certificates", is_flag=True, help="Sessions need certificates.")
@_folder_option
@output_option
def up(
    *,
    count: int,
    names: tuple[str, ...],
    hosts: int,
    has_notary: bool,
    cpb: Path | None,
    code_signers: tuple[Path, ...],
    is_mutual: bool,
    manual_approval: bool,
    session_certificates: bool,
    folder: Path,
    output: str,
) -> None:
    """Bring up a dynamic network on this machine, and leave it running.

    Hosts listen on free ports of 127.0.0.1. The MGM is on the first, certificates come from an
    authority in the network's folder. What is there stays, what is missing is made: run it again
    after an interruption, or to add members. `cordbox network down` stops the hosts.
    """
    from host.tools.cache import default_cache_dir
    from host.tools.network.plan import NetworkFolder, NetworkPlan, free_places, member_names
    from host.tools.network.up import NetworkUp
    from sandbox.runtime import Sandbox

    members = member_names(names, count)
    network = NetworkFolder(folder)
    plan = network.make(
        NetworkPlan(
            hosts=free_places(hosts),
            is_mutual=is_mutual,
            has_session_certificates=session_certificates,
            needs_approval=manual_approval,
        )
    )
    is_text = output != "json"
    progress = show_progress if is_text else no_progress
    cache = default_cache_dir()
    nodes = NetworkUp(
        folder=network,
        plan=plan,
        members=members,
        has_notary=has_notary,
        cpb=cpb,
        code_signers=code_signers,
        sandbox=Sandbox(cache_dir=cache, progress=progress),
        cache=cache,
        tell=click.echo if is_text else no_progress,
        progress=progress,
    ).run()
    _show(network, plan, nodes, output)


@click.command("down", cls=PrettyCommand)
@_folder_option
@output_option
def down(*, folder: Path, output: str) -> None:
    """Stop the hosts of a network; its data stay, and `cordbox network up` starts them again."""
    from host.tools.network import running
    from host.tools.network.plan import NetworkFolder

    network = NetworkFolder(folder)
    numbers = range(1, len(network.open().hosts) + 1)
    stopped = [number for number in numbers if running.stop(network, number)]
    if output == "json":
        tell_json_line({"stopped": stopped})
    else:
        for number in stopped:
            click.echo(f"host {number} is stopped")
        if not stopped:
            click.echo("no host was running")


@click.command("status", cls=PrettyCommand)
@_folder_option
@output_option
def status(*, folder: Path, output: str) -> None:
    """Show the hosts of a network and their virtual nodes.

    Exit code 0: all hosts run; 1: one does not.
    """
    from host.tools.network import running
    from host.tools.network.homes import homes_at
    from host.tools.network.plan import NetworkFolder
    from host.tools.network.up import UpNode

    network = NetworkFolder(folder)
    plan = network.open()
    nodes: list[UpNode] = []
    is_down = False
    for number, place in enumerate(plan.hosts, 1):
        if running.running(network, number) is None:
            is_down = True
            continue
        with running.client(network, number, place) as client:
            nodes += [
                UpNode(name=h.name, short_hash=h.short_hash, host=number, place=h.place)
                for h in homes_at(client, number)
            ]
    _show(network, plan, nodes, output)
    if is_down:
        raise SystemExit(1)


def _show(
    network: "NetworkFolder", plan: "NetworkPlan", nodes: "Sequence[UpNode]", output: str
) -> None:
    from host.tools.network import running

    runs = [running.running(network, n) is not None for n in range(1, len(plan.hosts) + 1)]
    if output == "json":
        hosts = [
            {
                "url": place.url,
                "gateway": place.gateway_url,
                "certificate": str(network.certificate(number)),
                "isRunning": runs[number - 1],
            }
            for number, place in enumerate(plan.hosts, 1)
        ]
        listed = [
            {
                "x500Name": node.name,
                "holdingIdentityShortHash": node.short_hash,
                "host": node.host,
                "place": node.place,
                "openRegistrationId": node.request,
            }
            for node in nodes
        ]
        facts = {
            "hosts": hosts,
            "passwordFile": str(network.password_file),
            "virtualNodes": listed,
        }
        tell_json(facts)
        return
    for number, place in enumerate(plan.hosts, 1):
        click.echo(f"\nhost {number}: {place.url}" + ("" if runs[number - 1] else "  (stopped)"))
        line = shell_line(place.url, network.certificate(number), network.password_file)
        click.echo(f"  {line}")
        for node in nodes:
            if node.host == number:
                waits = f"  waits for approval: {node.request}" if node.request else ""
                away = "" if node.place == "HERE" else f"  {node.place}"
                click.echo(f"  {node.short_hash}  {node.name}{away}{waits}")
