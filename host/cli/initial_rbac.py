"""`cordbox initial-rbac`: Corda's roles on a running host."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from host.cli.host_options import Connect, host_options
from host.cli.lines import tell_json
from host.cli.package_options import output_option
from host.cli.pretty import PrettyGroup

if TYPE_CHECKING:
    from host.domain.json import JsonValue
    from host.tools.client.host_client import HostClient
    from host.tools.client.stock_roles import StockRole
    from host.tools.network.answer_shapes import Role


@click.group("initial-rbac", cls=PrettyGroup)
def command() -> None:
    """Make the roles that Corda's documents name; a role that there is stays as it is."""


@command.command("user-admin")
@host_options
@output_option
def user_admin(*, connect: Connect, output: str) -> None:
    """Make UserAdminRole: users, roles and permissions."""
    _make_cluster_role(connect, "user-admin", output)


@command.command("vnode-creator")
@host_options
@output_option
def vnode_creator(*, connect: Connect, output: str) -> None:
    """Make VNodeCreatorRole: CPIs, virtual nodes, keys and registration."""
    _make_cluster_role(connect, "vnode-creator", output)


@command.command("corda-developer")
@host_options
@output_option
def corda_developer(*, connect: Connect, output: str) -> None:
    """Make CordaDeveloperRole: forced uploads and resynchronised vaults."""
    _make_cluster_role(connect, "corda-developer", output)


@command.command("all-cluster-roles")
@host_options
@output_option
def all_cluster_roles(*, connect: Connect, output: str) -> None:
    """Make all of these roles."""
    from host.tools.client.stock_roles import cluster_roles

    _make(connect, cluster_roles().values(), output)


@command.command("flow-executor")
@click.option("--v-node-id", "-v", "node", required=True, help="Short hash of the virtual node.")
@host_options
@output_option
def flow_executor(*, connect: Connect, node: str, output: str) -> None:
    """Make FlowExecutorRole of one virtual node: start any of its flows, and see them."""
    from host.domain.ids import parse_short_hash
    from host.tools.client import stock_roles

    _make(connect, [stock_roles.flow_executor(parse_short_hash(node))], output)


def _make_cluster_role(connect: Connect, name: str, output: str) -> None:
    from host.tools.client.stock_roles import cluster_roles

    _make(connect, [cluster_roles()[name]], output)


def _make(connect: Connect, roles: Iterable["StockRole"], output: str) -> None:
    from host.tools.client.answers import shaped
    from host.tools.network.answer_shapes import Role

    told: list[dict[str, object]] = []
    with connect() as client:
        found: Any = client.get("/role")
        known = {each["roleName"]: each for each in shaped(found, list[Role], "/role")}
        for role in roles:
            is_new = role.name not in known
            made = _made(client, role) if is_new else known[role.name]
            told.append({"roleName": role.name, "id": made["id"], "isNew": is_new})
            if output != "json":
                done = (
                    f"is made, with {len(role.permissions)} permissions" if is_new else "is there"
                )
                click.echo(f"role {role.name} {done}: {made['id']}")
    if output == "json":
        tell_json({"roles": told})


def _made(client: "HostClient", role: "StockRole") -> "Role":
    from host.tools.client.answers import shaped
    from host.tools.network.answer_shapes import Role

    made = shaped(client.post("/role", {"roleName": role.name}), Role, "/role")
    wanted: list[JsonValue] = [
        {"permissionType": "ALLOW", "permissionString": pattern, "virtualNode": node}
        for pattern, node in role.permissions
    ]
    client.post("/permission/bulk", {"permissionsToCreate": wanted, "roleIds": [made["id"]]})
    return made
