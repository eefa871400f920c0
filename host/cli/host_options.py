"""Options of the commands that call a running host, and the client made from them."""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click
from click.core import ParameterSource

from host.cli.package_options import EXISTING_FILE, resolve_password
from host.cli.progress import waiting

if TYPE_CHECKING:
    from host.tools.client.host_client import HostClient

Connect: TypeAlias = Callable[[], "HostClient"]
"""Makes a client of the host that a command's options name."""
HASH_IS_H = {"help_option_names": ["--help"]}
"""Context of commands whose `-h` names a hash, as in Corda's."""

_F = TypeVar("_F", bound=Callable[..., Any])


def complete_profile(_ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Names of the user's profiles that begin as what was typed; none if they cannot be read."""
    from host.domain.errors import HostError
    from host.tools.client.profiles import Profiles

    try:
        return [name for name in Profiles.of_user().all() if name.startswith(typed)]
    except (HostError, OSError):
        return []


_url_option = click.option(
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
_profile_option = click.option(
    "--profile",
    envvar="CORDBOX_PROFILE",
    show_envvar=True,
    shell_complete=complete_profile,
    help="Profile that names the host: `cordbox profile create`.",
)
_OPTIONS = (
    _profile_option,
    _url_option,
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
        profile: str | None,
        url: str,
        user: str,
        password: str | None,
        password_file: Path | None,
        ca_file: Path | None,
        **options: Any,
    ) -> Any:
        def connect() -> "HostClient":
            from host.tools.client.host_client import HostClient

            where = _where(profile, given, chosen)
            secret = _secret(where["password"], where["password_file"])
            return HostClient(
                where["url"], user=where["user"], password=secret, ca_file=where["ca_file"]
            )

        given: dict[str, Any] = {
            "url": url,
            "user": user,
            "password": password,
            "password_file": password_file,
            "ca_file": ca_file,
        }
        chosen = _chosen(given)

        with _waiting_for(options):
            return function(*args, connect=connect, **options)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command  # type: ignore[return-value]


def open_host_options(function: _F) -> _F:
    """Add the options of a command that needs no user of its host: it gets `url` and `ca_file`."""

    @wraps(function)
    def command(
        *args: Any, profile: str | None, url: str, ca_file: Path | None, **options: Any
    ) -> Any:
        given: dict[str, Any] = {"url": url, "ca_file": ca_file}
        where = _where(profile, given, _chosen(given))
        with _waiting_for(options):
            return function(*args, url=where["url"], ca_file=where["ca_file"], **options)

    for option in (ca_file_option, _url_option, _profile_option):
        command = option(command)
    return command  # type: ignore[return-value]


def _waiting_for(options: Mapping[str, Any]) -> AbstractContextManager[None]:
    """What tells how long the command that is run, with these options, has been silent."""
    path = click.get_current_context().command_path
    return waiting(path, str(options.get("output", "text")))


def _chosen(options: Iterable[str]) -> AbstractSet[str]:
    """Those options of the command being run that were given, and have not their defaults."""
    source = click.get_current_context().get_parameter_source
    return {each for each in options if source(each) is ParameterSource.COMMANDLINE}


def _where(
    profile: str | None, given: Mapping[str, Any], chosen: AbstractSet[str]
) -> Mapping[str, Any]:
    """What the command line gives, else what the profile has, else variables and defaults."""
    if profile is None:
        return given
    from host.tools.client.profiles import Profiles

    found = Profiles.of_user().get(profile).shown()
    files = {"password_file", "ca_file"}
    named = {key: Path(text) if key in files else text for key, text in found.items()}
    if "password" in chosen:
        named["password_file"] = given["password_file"]
    return {**given, **named, **{key: given[key] for key in chosen}}


def _secret(password: str | None, password_file: Path | None) -> str:
    if password_file is not None:
        from host.adapters.files.secret_files import read_secret

        return read_secret(password_file)
    if password is None:
        raise click.UsageError("Give --password-file, --password or CORDBOX_ADMIN_PASSWORD.")
    return resolve_password(password)
