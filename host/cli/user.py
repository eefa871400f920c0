"""`cordbox user`: users of a running host, and a lost password of a stopped one."""

import sys
from pathlib import Path

import click

from host.cli.host_options import Connect, host_options
from host.cli.lines import tell, tell_done, tell_json, tell_table
from host.cli.offline_settings import database_upkeep, settings_option
from host.cli.package_options import EXISTING_FILE, output_option
from host.cli.pretty import PrettyGroup


@click.group("user", cls=PrettyGroup)
def command() -> None:
    """Look after the users of a host. LOGIN is a login name, ROLE a role's name or identifier."""


@command.command("create")
@click.argument("login")
@click.option("--full-name", default="", help="The user's name.")
@click.option("--role", "roles", multiple=True, help="A role that the user gets; repeatable.")
@click.option("--new-password-file", type=EXISTING_FILE, help="File whose first line it is.")
@click.option("--sso", is_flag=True, help="Without a password: by the host's identity provider.")
@host_options
@output_option
def create(
    *,
    connect: Connect,
    login: str,
    full_name: str,
    roles: tuple[str, ...],
    new_password_file: Path | None,
    sso: bool,
    output: str,
) -> None:
    """Make a user, who may do what the roles allow.

    Without a file the password is asked for, or read from stdin if that is no terminal.
    """
    from host.tools.client.rbac import changed, role_id

    if sso and new_password_file is not None:
        raise click.UsageError("--sso and --new-password-file exclude each other")
    with connect() as client:
        ids = [role_id(client, role) for role in roles]
        made = client.post(
            "/user",
            {
                "loginName": login,
                "fullName": full_name,
                "enabled": True,
                "initialPassword": None if sso else _password(new_password_file),
            },
        )
        for each in ids:
            made = changed(client, "PUT", f"{_path(login)}/role/{each}")
    _show(made, output)


@command.command("get")
@click.argument("login")
@host_options
@output_option
def get(*, connect: Connect, login: str, output: str) -> None:
    """Show a user: whether it is enabled, when its password ends, its roles."""
    with connect() as client:
        _show(client.get(_path(login)), output)


@command.command("permissions")
@click.argument("login")
@host_options
@output_option
def permissions(*, connect: Connect, login: str, output: str) -> None:
    """List what a user may do, by all of its roles."""
    from host.tools.client.answers import shaped
    from host.tools.client.rbac import PermissionSummary

    path = f"{_path(login)}/permissionsummary"
    with connect() as client:
        found = client.get(path)
    summary = shaped(found, PermissionSummary, path)
    if output == "json":
        tell_json(found)
        return
    tell_table(
        ("TYPE", "NODE", "PATTERN"),
        [
            (each["permissionType"], each["virtualNode"] or "-", each["permissionString"])
            for each in summary["permissions"]
        ],
    )


@command.command("assign-role")
@click.argument("login")
@click.argument("role")
@host_options
@output_option
def assign_role(*, connect: Connect, login: str, role: str, output: str) -> None:
    """Give a user a role; it counts from the next request on."""
    _change_role(connect, "PUT", login, role, output)


@command.command("remove-role")
@click.argument("login")
@click.argument("role")
@host_options
@output_option
def remove_role(*, connect: Connect, login: str, role: str, output: str) -> None:
    """Take a role from a user."""
    _change_role(connect, "DELETE", login, role, output)


@command.command("set-password")
@click.argument("login")
@click.option("--new-password-file", type=EXISTING_FILE, help="File whose first line it is.")
@host_options
@output_option
def set_password(
    *, connect: Connect, login: str, new_password_file: Path | None, output: str
) -> None:
    """Give another user a new password, which the user has to change in some days."""
    with connect() as client:
        body = {"username": login, "password": _password(new_password_file)}
        _show(client.post("/user/otheruserpassword", body), output)


@command.command("reset-password")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Data directory of the host, which must not run.",
)
@settings_option
@click.option("--user", "-u", default="admin", show_default=True, help="Whose password.")
@click.option("--password-file", type=EXISTING_FILE, help="File whose first line it is.")
@output_option
def reset_password(
    *,
    data_dir: Path | None,
    settings_file: Path | None,
    user: str,
    password_file: Path | None,
    output: str,
) -> None:
    """Give a user another password, if the old one is lost.

    Without a data directory, the user of a cluster, in the database that the settings of a host
    name; its hosts may run. Without a file the password is asked for, or read from stdin if that is
    no terminal. Anybody who may write the data directory or the database may do this: it needs no
    password of the host.
    """
    from host.runtime.wiring.users import reset_password as reset
    from host.runtime.wiring.users import reset_shared_password

    if data_dir is not None:
        if settings_file is not None:
            raise click.UsageError("Give --data-dir or --settings, not both.")
        reset(data_dir, user, _password(password_file))
    else:
        upkeep = database_upkeep(settings_file)
        if upkeep is None:
            raise click.UsageError("Give --data-dir, or settings that name a database.")
        reset_shared_password(upkeep, user, _password(password_file))
    tell_done(output, f"user {user} has a new password", user=user, outcome="new-password")


def _change_role(connect: Connect, method: str, login: str, role: str, output: str) -> None:
    from host.tools.client.rbac import changed, role_id

    with connect() as client:
        path = f"{_path(login)}/role/{role_id(client, role)}"
        _show(changed(client, method, path), output)


def _path(login: str) -> str:
    from urllib.parse import quote

    return f"/user/{quote(login, safe='')}"


def _show(answer: object, output: str) -> None:
    from host.tools.client.answers import shaped
    from host.tools.client.rbac import UserShown

    user = shaped(answer, UserShown, "/user")
    if output == "json":
        tell_json(answer)
        return
    tell(("login name:      ", user["loginName"]))
    tell(("full name:       ", user["fullName"]))
    tell(("enabled:         ", "yes" if user["enabled"] else "no"))
    tell(("password expires:", user["passwordExpiry"] or "never"))
    tell(("roles:           ", ", ".join(r["roleId"] for r in user["roleAssociations"]) or "none"))


def _password(file: Path | None) -> str:
    if file is not None:
        from host.adapters.files.secret_files import read_secret

        return read_secret(file)
    if sys.stdin.isatty():
        return str(click.prompt("New password", hide_input=True, confirmation_prompt=True))
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise click.UsageError("stdin holds no password in its first line")
    return password
