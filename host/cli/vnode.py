"""`cordbox vnode`: make, list, register and move virtual nodes of a running host."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from host.cli.host_options import Connect, host_options
from host.cli.lines import limit_option, some, tell, tell_json, tell_table
from host.cli.package_options import output_option
from host.cli.pretty import PrettyGroup
from host.cli.vnode_move import COMMANDS
from host.cli.watching import watchable

if TYPE_CHECKING:
    from host.tools.client.host_client import HostClient

_STATES = click.Choice(("active", "maintenance"), case_sensitive=False)

_context_options = (
    click.option(
        "--key-scheme",
        default="CORDA.ECDSA.SECP256R1",
        show_default=True,
        help="Scheme of the keys that the host makes for a member of a static network.",
    ),
    click.option(
        "--set",
        "context",
        multiple=True,
        metavar="KEY=VALUE",
        help="Of the registration's context, such as corda.roles.0=notary; repeatable.",
    ),
    click.option("--no-wait", is_flag=True, help="Do not wait until the registration is approved."),
)


def _registering(function: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_context_options):
        function = option(function)
    return function


@click.group("vnode", cls=PrettyGroup)
def command() -> None:
    """Make, list, register and move virtual nodes.

    NODE is a virtual node's short hash or X.500 name.
    """


@command.command("create")
@click.argument("name", metavar="X500NAME")
@click.option(
    "--cpi", required=True, metavar="CPI", help="Its CPI: checksum, NAME, or NAME:VERSION."
)
@click.option("--register", "registers", is_flag=True, help="Register it, too.")
@_registering
@host_options
@output_option
def create(
    *,
    connect: Connect,
    name: str,
    cpi: str,
    registers: bool,
    key_scheme: str,
    context: tuple[str, ...],
    no_wait: bool,
    output: str,
) -> None:
    """Make a virtual node named X500NAME that runs a CPI, and print its short hash."""
    from host.tools.client.named_cpis import cpi_named
    from host.tools.network.operations import create_node

    values = _context(key_scheme, context)
    with connect() as client:
        node = create_node(client, cpi_named(client, cpi)["cpiFileChecksum"], name)
        if registers:
            _register(client, node, values, waits=not no_wait)
    if output == "json":
        tell_json({"holdingIdentityShortHash": node})
    else:
        click.echo(node)


@command.command("list")
@limit_option
@watchable
@host_options
@output_option
def list_nodes(*, connect: Connect, limit: int, output: str) -> None:
    """List the virtual nodes of the host."""
    from host.tools.network.operations import nodes

    with connect() as client:
        found = some(nodes(client), limit, "virtual nodes")
    if output == "json":
        tell_json({"virtualNodes": found})
        return
    rows = [
        (
            node["holdingIdentity"]["shortHash"],
            f"{node['cpiIdentifier']['cpiName']}:{node['cpiIdentifier']['cpiVersion']}",
            node["holdingIdentity"]["x500Name"],
        )
        for node in found
    ]
    tell_table(("node", "CPI", "name"), rows)


@command.command("get")
@click.argument("node")
@host_options
@output_option
def get(*, connect: Connect, node: str, output: str) -> None:
    """Show NODE: its identity, its CPI, and what it may do now."""
    from host.tools.client.answers import shaped
    from host.tools.client.named_nodes import node_named
    from host.tools.network.answer_shapes import NodeState

    with connect() as client:
        path = f"/virtualnode/{node_named(client, node)}"
        found = shaped(client.get(path), NodeState, path)
    if output == "json":
        tell_json(found)
        return
    holding, cpi = found["holdingIdentity"], found["cpiIdentifier"]
    tell(("name:          ", holding["x500Name"]))
    tell(("short hash:    ", holding["shortHash"]))
    tell(("group:         ", holding["groupId"]))
    tell(("CPI:           ", f"{cpi['cpiName']}:{cpi['cpiVersion']}"))
    tell(("flows start:   ", found["flowStartOperationalStatus"]))
    tell(("flows run:     ", found["flowOperationalStatus"]))
    tell(("messages:      ", found["flowP2pOperationalStatus"]))
    tell(("vault:         ", found["vaultDbOperationalStatus"]))
    tell(("state:         ", found["state"]))


@command.command("register")
@click.argument("node")
@_registering
@host_options
@output_option
def register(
    *,
    connect: Connect,
    node: str,
    key_scheme: str,
    context: tuple[str, ...],
    no_wait: bool,
    output: str,
) -> None:
    """Register NODE with its network, wait until it is approved, and print the request's id.

    In a static network the host makes the keys. A member of a dynamic network has keys and
    certificates first: `cordbox network dynamic onboard-member` does all of it.
    """
    from host.tools.client.named_nodes import node_named

    values = _context(key_scheme, context)
    with connect() as client:
        request = _register(client, node_named(client, node), values, waits=not no_wait)
    if output == "json":
        tell_json({"registrationId": request})
    else:
        click.echo(request)


@command.command("state")
@click.argument("node")
@click.argument("state", type=_STATES)
@host_options
@output_option
def state(*, connect: Connect, node: str, state: str, output: str) -> None:
    """Set the state of NODE: in maintenance it starts no flows, and can be upgraded."""
    _set_state(connect, node, state.upper(), output)


@command.command("pause")
@click.argument("node")
@host_options
@output_option
def pause(*, connect: Connect, node: str, output: str) -> None:
    """Pause NODE: its flows wait, without timeouts, and no flow starts, until it is resumed."""
    _set_state(connect, node, "PAUSED", output)


@command.command("resume")
@click.argument("node")
@host_options
@output_option
def resume(*, connect: Connect, node: str, output: str) -> None:
    """Resume NODE: its flows go on with all that has arrived since it was paused."""
    _set_state(connect, node, "ACTIVE", output)


@command.command("upgrade")
@click.argument("node")
@click.argument("cpi", metavar="CPI")
@click.option("--dry-run", is_flag=True, help="Rehearse it only: show what it would do.")
@click.option(
    "--flows",
    type=click.Choice(("kill", "drain", "finish", "migrate")),
    default="finish",
    show_default=True,
    help="What becomes of open flows: kill needs maintenance; drain waits for them; finish lets"
    " them end with the old code; migrate lets them go on with the new code.",
)
@click.option(
    "--diverging",
    type=click.Choice(("finish", "kill")),
    default="finish",
    show_default=True,
    help="Of migrate: what becomes of flows that the new code would break.",
)
@click.option(
    "--seconds", type=click.IntRange(1, 86_400), default=2400, help="How long to wait for its end."
)
@host_options
@output_option
def upgrade(
    *,
    connect: Connect,
    node: str,
    cpi: str,
    dry_run: bool,
    flows: str,
    diverging: str,
    seconds: int,
    output: str,
) -> None:
    """Give NODE another version of its CPI, and print what was found of its flows and data.

    CPI is a checksum, NAME, or NAME:VERSION of an uploaded CPI. A refused upgrade changes nothing.
    """
    from host.cli.progress import no_progress, show_progress
    from host.tools.client.named_cpis import cpi_named
    from host.tools.client.named_nodes import node_named
    from host.tools.network import upgrades

    progress = no_progress if output == "json" else show_progress
    with connect() as client:
        named, target = node_named(client, node), cpi_named(client, cpi)["cpiFileChecksum"]
        if dry_run:
            request = upgrades.rehearse(client, named, target)
        else:
            request = upgrades.upgrade(client, named, target, flows=flows, diverging=diverging)
        found = upgrades.until_upgraded(client, request, seconds=seconds, progress=progress)
    if output == "json":
        tell_json(found)
        return
    for line in upgrades.report_lines(found.get("report") or {}) if found.get("report") else ():
        click.echo(line)


def _set_state(connect: Connect, node: str, state: str, output: str) -> None:
    from host.tools.client.answers import shaped
    from host.tools.client.named_nodes import node_named
    from host.tools.network.answer_shapes import ChangedState

    with connect() as client:
        path = f"/virtualnode/{node_named(client, node)}/state/{state}"
        found = shaped(client.put(path, None), ChangedState, path)
    if output == "json":
        tell_json(found)
    else:
        tell((found["holdingIdShortHash"], found["newState"]))


def _context(key_scheme: str, words: tuple[str, ...]) -> dict[str, str]:
    values = {"corda.key.scheme": key_scheme}
    for word in words:
        key, sign, value = word.partition("=")
        if not key or not sign:
            raise click.UsageError(f"--set {word[:64]!r}: expected KEY=VALUE")
        values[key] = value
    return values


def _register(client: "HostClient", node: str, context: dict[str, str], *, waits: bool) -> str:
    from host.tools.network import operations

    request = operations.register(client, node, context)
    if waits:
        operations.until_approved(client, node, request)
    return request


for _each in COMMANDS:
    command.add_command(_each)
