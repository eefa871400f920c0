"""`cordbox profile`: names for hosts, so that commands need no address and no files."""

from pathlib import Path

import click

from host.cli.host_options import complete_profile
from host.cli.lines import tell_done, tell_json, tell_table
from host.cli.package_options import EXISTING_FILE, output_option
from host.cli.pretty import PrettyGroup


@click.group("profile", cls=PrettyGroup)
def command() -> None:
    """Name hosts: commands with `--profile NAME`, or with CORDBOX_PROFILE, call that one.

    Profiles have no passwords, only the files that hold them.
    """


@command.command("create")
@click.argument("name")
@click.option("--url", required=True, help="The host's URL.")
@click.option("--user", "-u", help="User of the host.")
@click.option("--password-file", type=EXISTING_FILE, help="File whose first line is the password.")
@click.option("--ca-file", type=EXISTING_FILE, help="Certificate to trust.")
@output_option
def create(
    *,
    name: str,
    url: str,
    user: str | None,
    password_file: Path | None,
    ca_file: Path | None,
    output: str,
) -> None:
    """Make the profile NAME, or replace it."""
    from host.tools.client.profiles import Profile, Profiles

    profile = Profile(
        url=url,
        user=user,
        password_file=None if password_file is None else str(password_file.resolve()),
        ca_file=None if ca_file is None else str(ca_file.resolve()),
    )
    Profiles.of_user().put(name, profile)
    tell_done(output, f"profile {name}: {url}", name=name, url=url)


@command.command("list")
@output_option
def list_profiles(output: str) -> None:
    """List the profiles by name."""
    from host.tools.client.profiles import Profiles

    found = Profiles.of_user().all()
    if output == "json":
        tell_json({"profiles": {name: profile.shown() for name, profile in found.items()}})
        return
    tell_table(
        ("NAME", "USER", "URL"),
        [(name, profile.user or "admin", profile.url) for name, profile in found.items()],
    )


@command.command("delete")
@click.argument("name", shell_complete=complete_profile)
@output_option
def delete(name: str, output: str) -> None:
    """Delete the profile NAME."""
    from host.tools.client.profiles import Profiles

    Profiles.of_user().delete(name)
    tell_done(output, f"profile {name} is deleted", name=name, outcome="deleted")
