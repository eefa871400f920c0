"""`cordbox dev`: a development network that follows the sources of a CorDapp."""

import shlex
import signal
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import click

from host.cli.pretty import PrettyCommand
from host.cli.progress import show_progress

if TYPE_CHECKING:
    from host.tools.dev.host_process import HostProcess

_FOLDER = ".cordbox-dev"
_MEMBERS = ("O=Alice, L=London, C=GB", "O=Bob, L=London, C=GB")
_NOTARY = "O=Notary, L=London, C=GB"


@click.command("dev", cls=PrettyCommand)
@click.argument(
    "directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
)
@click.option(
    "--member",
    "members",
    multiple=True,
    help="X.500 name of a member; repeatable. Default: Alice and Bob.",
)
@click.option(
    "--notary",
    "has_notary",
    is_flag=True,
    help=f"Run a notary, too: {_NOTARY}, of the service O=Notary Service, L=London, C=GB.",
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Where the network lives; default: {_FOLDER} in the project's folder.",
)
@click.option(
    "--listen",
    default="127.0.0.1:8888",
    envvar="CORDBOX_LISTEN",
    show_default=True,
    metavar="HOST:PORT",
    help="Address of the host's REST interface; port 0 takes a free one.",
)
def command(
    *,
    directory: Path,
    members: tuple[str, ...],
    has_notary: bool,
    folder: Path | None,
    listen: str,
) -> None:
    """Run the CorDapp in DIRECTORY on a network of its own, and reload it when its files change.

    Starts a host with a static network, builds and uploads the CorDapp, makes and registers a
    virtual node for each member, and watches the sources. A forced upload replaces the code; nodes,
    their data and their flows stay. Errors are told and waited out. Ctrl-C stops the host. In a
    network with a notary each transaction must name it.
    """
    from host.runtime.plugin_loading import make_plugin_manager
    from host.tools.cache import default_cache_dir
    from host.tools.cordapps.toolchains import component_builder
    from host.tools.dev.folder import DevFolder
    from host.tools.dev.host_process import HostProcess
    from host.tools.dev.loop import DevLoop
    from sandbox.runtime import Sandbox

    network = DevFolder(
        folder or directory / _FOLDER,
        members or _MEMBERS,
        notary=_NOTARY if has_notary else None,
    )
    cache = default_cache_dir()
    host = HostProcess.start(
        data=network.data,
        listen=listen,
        password_file=network.password_file,
        log=network.log,
        options=("--cache-dir", str(cache)),
    )
    stop = _stop_on_signals()
    try:
        for line in _facts(host, network.log, network.password_file):
            click.echo(line)
        with host.client() as client:
            loop = DevLoop(
                project=directory,
                folder=network,
                client=client,
                sandbox=Sandbox(cache_dir=cache, progress=show_progress),
                build_component=component_builder(make_plugin_manager(("toolchains",))),
                tell=click.echo,
                progress=show_progress,
            )
            loop.run(stop, lambda: host.is_running)
        if not host.is_running:
            raise click.ClickException(f"the host has ended; see {network.log}")
    finally:
        click.echo("stopping")
        host.stop()


def _facts(host: "HostProcess", log: Path, password_file: Path) -> Sequence[str]:
    url = host.url
    return (
        f"host:  {url}  (Swagger UI: {url}/api/v5_2/swagger)",
        f"log:   {log}",
        f"shell: {shell_line(url, host.certificate, password_file)}",
    )


def shell_line(url: str, certificate: Path, password_file: Path) -> str:
    """The environment variables by which `cordbox flow` and others find the host."""
    ca_file, password = (shlex.quote(str(p.absolute())) for p in (certificate, password_file))
    exports = f"CORDBOX_URL={url} CORDBOX_CA_FILE={ca_file}"
    return f'export {exports} CORDBOX_ADMIN_PASSWORD="$(cat {password})"'


def _stop_on_signals() -> Event:
    """An event that SIGINT, SIGTERM and SIGHUP set."""
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop
