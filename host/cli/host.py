"""`cordbox host`: run a host on this machine, and show the status of a running one."""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from host.cli.host_files import backup, check, restore
from host.cli.host_options import open_host_options
from host.cli.host_standby import standby
from host.cli.lines import json_text, tell_json_line
from host.cli.pretty import PrettyGroup
from host.cli.watching import watchable

if TYPE_CHECKING:
    from host.settings import HostSettings

_OUTPUT = click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of what is printed on stdout.",
)


@click.group("host", cls=PrettyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Run a host and look at it."""


command.add_command(backup)
command.add_command(check)
command.add_command(restore)
command.add_command(standby)


@command.command("run")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Directory of the host's data.")
@click.option("--listen", metavar="HOST:PORT", help="Address of the REST interface.")
@click.option(
    "--admin-password-file",
    type=click.Path(path_type=Path),
    help="File whose first line is the password of the user admin.",
)
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path),
    help="TOML file of settings; default: cordbox.toml in this directory, if it exists.",
)
@click.option("--cache-dir", type=click.Path(path_type=Path), help="Directory of compiled code.")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="Least level."
)
@click.option(
    "--log-format", type=click.Choice(["auto", "console", "json"]), help="Form of the log."
)
@click.option(
    "--workers",
    metavar="KIND=COUNT,…",
    help="Worker processes: combined (one process for everything), or kinds with counts such as"
    " flow=2,crypto=1; default: rest and one flow process for each core, at most 4.",
)
@click.option(
    "--isolation",
    type=click.Choice(["shared", "process"]),
    help="Where guests run: in the workers, or each node's in a sealed process of its own.",
)
@click.option(
    "--monitor-listen",
    metavar="HOST:PORT",
    help="Health and metrics (plain HTTP) of the first process; further ones take the next ports.",
)
@click.option(
    "--gateway-listen",
    metavar="HOST:PORT",
    multiple=True,
    callback=lambda _context, _option, given: given or None,
    help="Where gateways of other clusters connect; may be repeated. Without it, nothing listens.",
)
@click.option(
    "--new",
    "is_new",
    is_flag=True,
    help="Begin a new cluster though the data directory holds files that do not belong together;"
    " they are moved to a folder set-aside-TIME in it.",
)
@_OUTPUT
def run_command(settings_file: Path | None, output: str, *, is_new: bool, **options: Any) -> None:
    """Run a host until SIGTERM or SIGINT.

    Prints one line on stdout when it is ready, and logs on stderr. The first start makes a
    certificate for HTTPS and, if no password is given, a password for the user `admin`.
    """
    from host.adapters.os.descriptors import raise_descriptor_limit
    from host.observe.logs import configure_logging
    from host.runtime.plugin_loading import declared_settings
    from host.settings import load_settings
    from host.settings.sections import LOG

    default_file = Path("cordbox.toml")
    file = settings_file or (default_file if default_file.exists() else None)

    def load() -> "HostSettings":
        return load_settings(
            options=options, file=file, environment=os.environ, declare=declared_settings
        )

    settings = load()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # Ignored until a handler is installed.
    is_combined = settings.worker_plan.is_combined
    name = None if is_combined else "supervisor"
    configure_logging(level=settings.section(LOG).level, form=settings.log_format, worker=name)
    raise_descriptor_limit()

    def ready(facts: Mapping[str, str]) -> None:
        if output == "json":
            tell_json_line({"event": "ready", **facts})
        else:
            hint = f", password of admin in {p}" if (p := facts.get("adminPasswordFile")) else ""
            print(f"ready: {facts['url']} (API {facts['url']}/api/v5_2{hint})", flush=True)

    if is_combined:
        from host.runtime.app import run_host as run
    else:
        # Keeps the supervisor small: only workers import the parts of a host.
        from host.runtime.workers.supervisor import supervise as run
    run(
        settings,
        given_password=os.environ.get("CORDBOX_ADMIN_PASSWORD"),
        on_ready=ready,
        is_new=is_new,
        load=load,
    )


@command.command("status")
@watchable
@open_host_options
@_OUTPUT
def status(url: str, ca_file: Path | None, output: str) -> None:
    """Show a host's health, its workers, what waits and how many flows are open.

    Fails when the host does not answer, or is not well.
    """
    from host.cli.host_status import StatusFacts, status_lines
    from host.tools.client.answers import shaped
    from host.tools.client.host_connection import ask_openly

    health = ask_openly(url, "/status", ca_file, any_status=True)
    facts = {"url": url, **health, **ask_openly(url, "/overview", ca_file)}
    shown = shaped(facts, StatusFacts, url)
    lines = status_lines(shown)
    click.echo(json_text(facts) if output == "json" else "\n".join(map(_coloured, lines)))
    if shown["status"] != "OK":
        sys.exit(1)


def _coloured(line: str) -> str:
    """A line of the status: what needs an operator is emphasised on a terminal."""
    if line.startswith("needs you:"):
        return click.style(line, fg="red" if "(critical" in line else "yellow")
    return click.style(line, fg="green") if line.endswith(": OK") else line
