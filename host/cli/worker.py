"""`cordbox worker`: one more worker process for a host that runs on this machine."""

from pathlib import Path

import click

from host.cli.lines import tell_json_line
from host.cli.pretty import PrettyCommand
from host.domain.workers import WorkerKind


@click.command(
    "worker", cls=PrettyCommand, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.argument("kind", type=click.Choice([kind.value for kind in WorkerKind]))
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="Data directory of the running host.",
)
@click.option(
    "--monitor-listen",
    metavar="HOST:PORT",
    help="Answer /isHealthy, /status and /metrics of this worker here.",
)
@click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of what is printed on stdout.",
)
def command(kind: str, data_dir: Path, monitor_listen: str | None, output: str) -> None:
    """Work for a running host until SIGTERM or SIGINT, or until the host ends.

    The worker has the host's settings. Prints one line on stdout when it is ready.
    """
    from host.runtime.workers.join import join_host

    def ready(name: str) -> None:
        if output == "json":
            tell_json_line({"event": "ready", "name": name})
        else:
            print(f"ready: {name}", flush=True)

    join_host(data_dir, WorkerKind(kind), monitor=monitor_listen, on_ready=ready)
