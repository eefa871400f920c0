"""`cordbox vnode export | import | activate | cancel-export | location | move`, and steps back."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from host.cli.host_options import Connect, host_options
from host.cli.lines import tell, tell_json
from host.cli.package_options import EXISTING_FILE, output_option, resolve_password
from host.cli.pretty import PrettyCommand
from host.cli.vnode_groups import (
    activate_group,
    cancel_group,
    export_group,
    give_group,
    group_option,
    import_group,
    locate_group,
    move_group,
    told,
)

if TYPE_CHECKING:
    from host.tools.network.answer_shapes import NodeLocation

_NEW_FILE = click.Path(path_type=Path)
_FILE_OR_FOLDER = click.Path(exists=True, path_type=Path)

endpoint_option = click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    metavar="URL",
    help="Of the gateway of the node's new host, for a network with an MGM; repeatable.",
)
tls_option = click.option(
    "--tls-alias", help="Of the new host's TLS certificate, for a network with an MGM."
)
token_option = click.option(
    "--token", help="A pre-auth token; without one the MGM's operators approve the move."
)


@click.command("export", cls=PrettyCommand)
@click.argument("node")
@click.argument("file", type=_NEW_FILE)
@click.option("--recipient", metavar="KEY", help="Public key of age that opens the file.")
@click.option(
    "--passphrase-file", type=EXISTING_FILE, help="File whose first line is a passphrase."
)
@group_option
@host_options
@output_option
def export(
    *,
    connect: Connect,
    node: str,
    file: Path,
    recipient: str | None,
    passphrase_file: Path | None,
    is_group: bool,
    output: str,
) -> None:
    """Pause NODE and write all of it, with its flows and keys, to FILE, encrypted.

    It does nothing on its host any more. If FILE is not used after all, `cordbox vnode
    cancel-export` takes the node back. Run it again after an interruption.
    """
    from host.adapters.files.container import identity_of_file
    from host.tools.client.named_nodes import node_named
    from host.tools.network import node_files

    if (recipient is None) is (passphrase_file is None):
        raise click.UsageError("Give --recipient or --passphrase-file.")
    identity, secret = None, None
    if passphrase_file is not None:
        from host.adapters.files.container import sealed_identity
        from host.adapters.files.secret_files import read_secret

        secret = read_secret(passphrase_file)
        recipient, identity = sealed_identity(secret)
    if is_group:
        export_group(connect, node, file, (recipient or "", identity), output)
        return
    with connect() as client:
        found = node_named(client, node)
        request, size = node_files.exported(
            client, found, file, recipient=recipient or "", identity=identity, report=told
        )
    if secret is not None:
        identity_of_file(file, secret)  # which an earlier call may have begun with another one
    node_files.forget(file)
    if output == "json":
        tell_json({"requestId": request, "file": str(file), "bytes": size})
    else:
        tell((str(file), f"{size} bytes"))


@click.command("import", cls=PrettyCommand)
@click.argument("file", type=_FILE_OR_FOLDER)
@click.option("--identity-file", type=EXISTING_FILE, help="Private keys of age that open FILE.")
@click.option(
    "--passphrase-file", type=EXISTING_FILE, help="File whose first line is a passphrase."
)
@group_option
@host_options
@output_option
def import_(
    *,
    connect: Connect,
    file: Path,
    identity_file: Path | None,
    passphrase_file: Path | None,
    is_group: bool,
    output: str,
) -> None:
    """Load a virtual node from FILE. It works once `cordbox vnode activate` was called.

    Without a key the host opens FILE with its own (`GET /maintenance/transferkey`).
    """
    from host.adapters.files.container import identity_of_file
    from host.adapters.files.secret_files import read_secret, read_secret_text
    from host.tools.network import group_moves, node_files

    if file.is_dir() is not is_group:
        raise click.UsageError("Give a folder with --group, a file without.")
    identity = None
    if identity_file is not None:
        identity = read_secret_text(identity_file)
    elif passphrase_file is not None:
        first = group_moves.files_of(file)[0] if is_group else file
        identity = identity_of_file(first, read_secret(passphrase_file))
    if is_group:
        import_group(connect, file, identity, output)
        return
    with connect() as client:
        request, node = node_files.loaded(client, file, identity, told)
    if output == "json":
        tell_json({"requestId": request, "holdingIdentityShortHash": node})
    else:
        click.echo(node)


@click.command("delete-import", cls=PrettyCommand)
@click.argument("node")
@group_option
@host_options
@output_option
def delete_import(*, connect: Connect, node: str, is_group: bool, output: str) -> None:
    """Delete the imported NODE from a host where it does not work.

    With --group NODE is the id of a static group: never after its source has given it to this host.
    """
    from host.tools.client.named_nodes import node_named
    from host.tools.network import group_moves, node_files

    with connect() as client:
        if is_group:
            deleted = group_moves.delete_imports(client, node)
        else:
            deleted = [node_named(client, node)]
            node_files.delete_import(client, deleted[0])
    if output == "json":
        tell_json({"holdingIdentityShortHashes": deleted})
        return
    for each in deleted:
        click.echo(each)


@click.command("activate", cls=PrettyCommand)
@click.argument("node")
@endpoint_option
@tls_option
@token_option
@click.option("--no-wait", is_flag=True, help="Do not wait until the MGM has approved it.")
@click.option(
    "--unfenced",
    is_flag=True,
    help="With --group: no other copy works; its source has given the group away, or is lost.",
)
@click.option(
    "--uniqueness-current",
    is_flag=True,
    help="With --group: its notary signed nothing after the export.",
)
@group_option
@host_options
@output_option
def activate(
    *,
    connect: Connect,
    node: str,
    endpoints: tuple[str, ...],
    tls_alias: str | None,
    token: str | None,
    no_wait: bool,
    unfenced: bool,
    uniqueness_current: bool,
    is_group: bool,
    output: str,
) -> None:
    """Let the imported NODE work on its new host; its MGM decides.

    With --group NODE is the id of a static group, which has no MGM: its operator decides.
    """
    from host.tools.client.named_nodes import node_named
    from host.tools.network import moving

    if is_group:
        activate_group(
            connect,
            node,
            is_unfenced=unfenced,
            is_uniqueness_current=uniqueness_current,
            output=output,
        )
        return
    with connect() as client:
        found = node_named(client, node)
        secret = None if token is None else resolve_password(token)
        place = moving.activate(
            client, found, endpoints=endpoints, tls_alias=tls_alias, token=secret
        )
        if not no_wait:
            place = moving.until_here(client, found, told)
    _tell_place(place, output)


@click.command("cancel-export", cls=PrettyCommand)
@click.argument("node")
@click.option(
    "--unfenced",
    is_flag=True,
    help="Of a static group, and of an MGM: no copy of it is used anywhere.",
)
@token_option
@group_option
@host_options
@output_option
def cancel_export(
    *,
    connect: Connect,
    node: str,
    unfenced: bool,
    token: str | None,
    is_group: bool,
    output: str,
) -> None:
    """Take the exported NODE back, unless its MGM has let a copy of it work elsewhere."""
    from host.tools.client.answers import shaped
    from host.tools.client.named_nodes import node_named
    from host.tools.network.answer_shapes import NodeLocation

    if is_group:
        cancel_group(connect, node, is_unfenced=unfenced, output=output)
        return
    with connect() as client:
        path = f"/maintenance/virtualnode/{node_named(client, node)}/export/cancel"
        body: dict[str, str | bool] = {"unfenced": unfenced}
        if token is not None:
            body["preAuthToken"] = resolve_password(token)
        found = shaped(client.post(path, dict(body)), NodeLocation, path)
    _tell_place(found, output)


@click.command("location", cls=PrettyCommand)
@click.argument("node")
@group_option
@host_options
@output_option
def location(*, connect: Connect, node: str, is_group: bool, output: str) -> None:
    """Show where NODE is, as its host and its network's list know it."""
    from host.tools.client.named_nodes import node_named
    from host.tools.network import moving

    if is_group:
        locate_group(connect, node, output)
        return
    with connect() as client:
        found = moving.location(client, node_named(client, node))
    _tell_place(found, output)


@click.command("moved", cls=PrettyCommand)
@click.argument("node")
@click.argument("file", type=EXISTING_FILE)
@group_option
@host_options
@output_option
def moved(*, connect: Connect, node: str, file: Path, is_group: bool, output: str) -> None:
    """Tell the host that NODE has left that it works elsewhere: what it left is erased.

    FILE is what `cordbox vnode location NODE --output json` printed at the new host. With --group
    NODE is the id of a static group that its new host has loaded: it is given to that host.
    """
    from host.tools.client.named_nodes import node_named
    from host.tools.network import moving
    from host.tools.network.answer_shapes import NodeLocation
    from host.tools.network.location_files import read_location

    if is_group:
        give_group(connect, node, file, output)
        return
    proof = read_location(file, NodeLocation)["proof"]
    if proof is None:
        raise click.UsageError(
            f"{file} has no proof: the virtual node has no list of members there"
        )
    with connect() as client:
        found = node_named(client, node)
        moving.tell_moved(client, found, proof)
        _tell_place(moving.location(client, found), output)


@click.command("move", cls=PrettyCommand)
@click.argument("node")
@click.option("--to", "target_url", required=True, metavar="URL", help="The new host's URL.")
@click.option("--to-user", default="admin", show_default=True, help="User of the new host.")
@click.option("--to-password-file", type=EXISTING_FILE, required=True, help="Its password.")
@click.option("--to-ca-file", type=EXISTING_FILE, help="Certificate of the new host to trust.")
@click.option(
    "--file", type=_NEW_FILE, help="Where the node's file is kept on its way.", required=True
)
@endpoint_option
@tls_option
@token_option
@group_option
@host_options
@output_option
def move(
    *,
    connect: Connect,
    node: str,
    target_url: str,
    to_user: str,
    to_password_file: Path,
    to_ca_file: Path | None,
    file: Path,
    endpoints: tuple[str, ...],
    tls_alias: str | None,
    token: str | None,
    is_group: bool,
    output: str,
) -> None:
    """Move NODE, with its flows, to another host. Run it again after an interruption."""
    from host.adapters.files.secret_files import read_secret
    from host.tools.client.host_client import HostClient
    from host.tools.client.named_nodes import node_named
    from host.tools.network import moves

    password = read_secret(to_password_file)
    secret = None if token is None else resolve_password(token)
    new = HostClient(target_url, user=to_user, password=password, ca_file=to_ca_file)
    if is_group:
        move_group(connect, new, node, file, output)
        return
    with connect() as source, new as target:
        found = moves.move(
            source,
            target,
            node_named(source, node),
            file,
            place=moves.NewPlace(endpoints=endpoints, tls_alias=tls_alias, token=secret),
            report=told,
        )
    _tell_place(found, output)


def _tell_place(found: "NodeLocation", output: str) -> None:
    if output == "json":
        tell_json(found)
        return
    epoch = found["listedEpoch"]
    words = "" if epoch is None else f"place {epoch} of the member list"
    if found["errorReason"] is not None:
        words = f"{words}: {found['errorReason']}"
    tell((found["holdingIdentityShortHash"], found["place"], words))


COMMANDS = (export, import_, delete_import, activate, cancel_export, location, moved, move)
