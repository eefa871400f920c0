"""`cordbox network lookup|get-registrations|operate`: members of a network, as hosts see them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from host.cli.host_options import HASH_IS_H, Connect, host_options
from host.cli.lines import tell, tell_json
from host.cli.package_options import OUTPUT_FILE, output_option
from host.cli.pretty import PrettyGroup

if TYPE_CHECKING:
    from host.tools.client.host_client import HostClient

_ATTRIBUTES = ("cn", "ou", "o", "l", "st", "c")

_node_options = (
    click.option("--holding-identity-short-hash", "-h", "short_hash", help="The virtual node."),
    click.option("--name", "-n", help="Its X.500 name, instead."),
    click.option("--group", "-g", help="Its group, where several nodes have the name."),
)


def _node_named(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_node_options):
        function = option(function)
    return function


@click.group("lookup", cls=PrettyGroup)
def lookup() -> None:
    """Show a network as one of its virtual nodes sees it."""


@lookup.command("members", context_settings=HASH_IS_H)
@_node_named
@click.option("-cn", "--common-name", "cn", help="Only members with this common name.")
@click.option("-ou", "--organization-unit", "ou", help="Only with this organisation unit.")
@click.option("-o", "--organization", "o", help="Only with this organisation.")
@click.option("-l", "--locality", "l", help="Only with this locality.")
@click.option("-st", "--state", "st", help="Only with this state.")
@click.option("-c", "--country", "c", help="Only with this country.")
@click.option("--status", "-s", "statuses", multiple=True, help="Status; repeatable.")
@host_options
@output_option
def members(
    *,
    connect: Connect,
    short_hash: str | None,
    name: str | None,
    group: str | None,
    statuses: tuple[str, ...],
    output: str,
    **attributes: str | None,
) -> None:
    """List the members that a virtual node sees."""
    from host.tools.client.answers import shaped
    from host.tools.network.answer_shapes import Member

    with connect() as client:
        node = _node(client, short_hash, name, group)
        query: dict[str, Any] = {key: v for key in _ATTRIBUTES if (v := attributes[key])}
        if statuses:
            query["statuses"] = list(statuses)
        path = f"/members/{node}"
        found = [shaped(each, Member, path) for each in client.items(path, "members", **query)]
    if output == "json":
        tell_json({"members": found})
        return
    for member in found:
        of_mgm, of_member = member["mgmContext"], member["memberContext"]
        status, serial = of_mgm.get("corda.status", ""), of_mgm.get("corda.serial", "")
        role = "mgm" if of_mgm.get("corda.mgm") == "true" else of_member.get("corda.roles.0", "")
        tell((f"{status:<10}", f"{serial:>4}", f"{role or '':<8}", of_member.get("corda.name")))


@lookup.command("group-parameters", context_settings=HASH_IS_H)
@_node_named
@host_options
@output_option
def group_parameters(
    *,
    connect: Connect,
    short_hash: str | None,
    name: str | None,
    group: str | None,
    output: str,
) -> None:
    """Show the group parameters that a virtual node has."""
    from host.tools.client.answers import shaped
    from host.tools.network.answer_shapes import GroupParameters

    with connect() as client:
        node = _node(client, short_hash, name, group)
        path = f"/members/{node}/group-parameters"
        found = shaped(client.get(path), GroupParameters, path)
    if output == "json":
        tell_json(found)
        return
    for key, value in found["parameters"].items():
        tell((f"{key}:", value))


@click.command("peers", context_settings=HASH_IS_H)
@_node_named
@host_options
@output_option
def peers(
    *, connect: Connect, short_hash: str | None, name: str | None, group: str | None, output: str
) -> None:
    """Show how a virtual node reaches the members of its network, and what waits to be sent."""
    from host.tools.client.answers import shaped
    from host.tools.network.answer_shapes import NetworkPeer

    with connect() as client:
        path = f"/network/{_node(client, short_hash, name, group)}/peers"
        found = [shaped(each, NetworkPeer, path) for each in client.items(path, "peers")]
    if output == "json":
        tell_json({"peers": found})
        return
    for peer in found:
        sessions = f"{peer['sessions']['outbound']} out, {peer['sessions']['inbound']} in"
        queued = f"{peer['queued']} queued ({peer['queuedBytes']} bytes)"
        problem = peer["lastError"] or peer["reason"] or ""
        tell((f"{peer['route']:<8}", sessions, queued, peer["x500Name"], problem))


@click.command("ping", context_settings=HASH_IS_H)
@click.argument("peer", metavar="PEER")
@_node_named
@host_options
@output_option
def ping(
    *,
    connect: Connect,
    peer: str,
    short_hash: str | None,
    name: str | None,
    group: str | None,
    output: str,
) -> None:
    """Have the link of PEER, a member's X.500 name, answer a virtual node: within 10 seconds."""
    from host.tools.client.answers import shaped
    from host.tools.network.answer_shapes import Pong

    with connect() as client:
        path = f"/network/{_node(client, short_hash, name, group)}/ping"
        found = shaped(client.post(path, {"x500Name": peer}), Pong, path)
    if output == "json":
        tell_json(found)
        return
    of_peer = f"member list {found['listVersion']}, {found['softwareVersion']}"
    tell((f"{peer} answered in {found['milliseconds']} ms:", of_peer))


@click.command("get-registrations", context_settings=HASH_IS_H)
@_node_named
@click.option("--request-id", help="Only this request.")
@host_options
@output_option
def get_registrations(
    *,
    connect: Connect,
    short_hash: str | None,
    name: str | None,
    group: str | None,
    request_id: str | None,
    output: str,
) -> None:
    """List the registrations of a virtual node, the latest first."""
    from host.tools.client.answers import shaped

    with connect() as client:
        node = _node(client, short_hash, name, group)
        path = f"/membership/{node}"
        if request_id is None:
            found = shaped(client.get(path), list[dict[str, Any]], path)
        else:
            path += f"/{quote(request_id, safe='')}"
            found = [shaped(client.get(path), dict[str, Any], path)]
    if output == "json":
        tell_json(found)
        return
    for each in found:
        tell(
            (each["registrationId"], f"{each['registrationStatus']:<28}", each.get("reason") or "")
        )


@click.group("operate", cls=PrettyGroup)
def operate() -> None:
    """Operate the MGM of a network."""


@operate.command("allow-client-certificate")
@click.argument("mgm", metavar="MGM")
@click.argument("subjects", metavar="SUBJECT...", nargs=-1, required=True)
@host_options
@output_option
def allow_client_certificate(
    *, connect: Connect, mgm: str, subjects: tuple[str, ...], output: str
) -> None:
    """Let hosts with client certificates of these subjects register at MGM.

    MGM is a virtual node's short hash or X.500 name; its network uses mutual TLS.
    """
    from host.tools.client.answers import shaped
    from host.tools.network.operations import allow_client, client_subjects

    with connect() as client:
        node = _node(client, mgm, None, None)
        path = client_subjects(node)
        for subject in subjects:
            allow_client(client, node, subject)
        allowed = shaped(client.get(path), list[str], path)
    if output == "json":
        tell_json(allowed)
        return
    for subject in allowed:
        tell((subject,))


@operate.command("export-group-policy", context_settings=HASH_IS_H)
@_node_named
@click.option("--save", "-s", "file", type=OUTPUT_FILE, help="File to write; default: stdout.")
@host_options
def export_group_policy(
    *,
    connect: Connect,
    short_hash: str | None,
    name: str | None,
    group: str | None,
    file: Path | None,
) -> None:
    """Write the group policy that CPIs of an MGM's members need."""
    from cpi.package.files import write_new
    from host.tools.network.operations import group_policy

    with connect() as client:
        policy = group_policy(client, _node(client, short_hash, name, group))
    if file is None:
        click.echo(policy.decode(errors="replace"))
    else:
        write_new(file, policy)


def _node(client: "HostClient", short_hash: str | None, name: str | None, group: str | None) -> str:
    from host.tools.client.named_nodes import node_named
    from host.tools.network.operations import nodes_by_name

    if (short_hash is None) is (name is None):
        raise click.UsageError("give --holding-identity-short-hash or --name")
    if group is None:
        return node_named(client, short_hash or name or "")
    if name is None:
        raise click.UsageError("--group belongs to --name")
    from host.domain.x500 import MemberX500Name

    found: Mapping[str, str] = nodes_by_name(client, group)
    wanted = str(MemberX500Name.parse(name))
    if wanted not in found:
        raise click.UsageError(f"group {group} has no virtual node {wanted!r} on this host")
    return found[wanted]
