"""`cordbox user`: users of a stopped host."""

import sys
from pathlib import Path

import click

from host.cli.package_options import EXISTING_FILE
from host.cli.pretty import PrettyGroup


@click.group("user", cls=PrettyGroup)
def command() -> None:
    """Look after the users of a host that does not run."""


@command.command("reset-password")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="Data directory of the host, which must not run.",
)
@click.option("--user", "-u", default="admin", show_default=True, help="Whose password.")
@click.option("--password-file", type=EXISTING_FILE, help="File whose first line it is.")
def reset_password(data_dir: Path, user: str, password_file: Path | None) -> None:
    """Give a user another password, if the old one is lost.

    Without a file the password is asked for, or read from stdin if that is no terminal. Anybody who
    may write the data directory may do this: it needs no password of the host.
    """
    from host.runtime.wiring.users import reset_password as reset

    reset(data_dir, user, _password(password_file))
    click.echo(f"user {user} has a new password")


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
