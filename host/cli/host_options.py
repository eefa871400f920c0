"""Options of the commands that call a running host, and the client made from them."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

from host.cli.package_options import EXISTING_FILE, resolve_password

if TYPE_CHECKING:
    from host.tools.host_client import HostClient

Connect: TypeAlias = Callable[[], "HostClient"]
"""Makes a client of the host that a command's options name."""
HASH_IS_H = {"help_option_names": ["--help"]}
"""Context of commands whose `-h` names a hash, as in Corda's."""

_F = TypeVar("_F", bound=Callable[..., Any])

url_option = click.option(
    "--url",
    default="https://127.0.0.1:8888",
    show_default=True,
    envvar="CORDBOX_URL",
    show_envvar=True,
    help="The host's URL.",
)
ca_file_option = click.option(
    "--ca-file",
    type=EXISTING_FILE,
    envvar="CORDBOX_CA_FILE",
    show_envvar=True,
    help="Certificate to trust: tls/certificate.pem in the host's data directory.",
)
_OPTIONS = (
    url_option,
    click.option("--user", "-u", default="admin", show_default=True, help="User of the host."),
    click.option(
        "--password",
        "-p",
        envvar="CORDBOX_ADMIN_PASSWORD",
        show_envvar=True,
        help="Password of the user; env:NAME reads it from a variable.",
    ),
    click.option("--password-file", type=EXISTING_FILE, help="File whose first line it is."),
    ca_file_option,
)


def host_options(function: _F) -> _F:
    """Add the options, and pass a function `connect` that makes a client of the named host."""

    @wraps(function)
    def command(
        *args: Any,
        url: str,
        user: str,
        password: str | None,
        password_file: Path | None,
        ca_file: Path | None,
        **options: Any,
    ) -> Any:
        def connect() -> "HostClient":
            from host.tools.host_client import HostClient

            secret = _secret(password, password_file)
            return HostClient(url, user=user, password=secret, ca_file=ca_file)

        return function(*args, connect=connect, **options)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command  # type: ignore[return-value]


def _secret(password: str | None, password_file: Path | None) -> str:
    if password_file is not None:
        from host.adapters.files.secret_files import read_secret

        return read_secret(password_file)
    if password is None:
        raise click.UsageError("Give --password-file, --password or CORDBOX_ADMIN_PASSWORD.")
    return resolve_password(password)
