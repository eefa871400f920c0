"""`cordbox flow replay` and `cordbox flow debug`: run a recorded flow again, offline."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from host.cli.package_options import EXISTING_FILE, output_option
from host.cli.pretty import PrettyCommand
from host.cli.values import POSITION

if TYPE_CHECKING:
    from host.flow.records.history_export import Recording
    from host.guests.replay.code import ReplayCode
    from host.guests.replay.run import ReplayedStep

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("replay", cls=PrettyCommand)
@click.argument("export", type=EXISTING_FILE)
@click.option("--cpi", type=EXISTING_FILE, help="The CPI whose code is run.")
@click.option("--project", type=_FOLDER, help="Or the folder of a CorDapp, as it is now.")
@click.option("--until", type=POSITION, help="Stop after this step.")
@click.option("--values", is_flag=True, help="Show the variables at each call.")
@click.option("--exact", is_flag=True, help="Run the component as it is, without line numbers.")
@click.option("--cache-dir", type=_FOLDER, help="Directory of compiled code.")
@output_option
@click.pass_context
def replay(
    ctx: click.Context,
    *,
    export: Path,
    cpi: Path | None,
    project: Path | None,
    until: int | None,
    values: bool,
    exact: bool,
    cache_dir: Path | None,
    output: str,
) -> None:
    """Run a recorded flow again, offline, and show each host call and the line that makes it.

    EXPORT is a file of `cordbox flow export`. The code runs in the sandbox, and every call is
    answered from the recording. Exit code 1 when a call differs from the recorded one: with a new
    version of the code, that is the step at which running flows would fail.
    """
    from host.cli import EXIT_REFUSED
    from host.cli.flow_show import load_export
    from host.guests.replay.run import replay as run
    from host.tools.flows.replay_report import end_lines, replay_json, step_lines

    recording = load_export(export)
    code = _code(recording, cpi, project, cache_dir, exact=exact)
    is_recorded = None if code.checksum is None else code.checksum == recording.cpi.file_checksum

    def tell(step: "ReplayedStep") -> None:
        if output == "text":
            click.echo("\n".join(step_lines(step, code.sources, with_values=values)))

    if output == "text":
        click.echo(_heading(recording, code.label, is_recorded))
    done = run(recording, code, until=until, on_step=tell)
    if output == "json":
        text = replay_json(
            done, flow=recording.flow.id, code=code.label, is_recorded_code=is_recorded
        )
        click.echo(text, nl=False)
    else:
        click.echo("\n".join(end_lines(done, code.sources)))
    if done.divergence is not None:
        ctx.exit(EXIT_REFUSED)


@click.command("debug", cls=PrettyCommand)
@click.argument("export", type=EXISTING_FILE)
@click.option("--project", type=_FOLDER, required=True, help="The CorDapp's folder.")
@click.option(
    "--break",
    "breakpoints",
    multiple=True,
    metavar="FILE:LINE",
    help="Stop at this line; repeatable.",
)
@click.option("--step", type=POSITION, help="Stop where this host call is made.")
def debug(*, export: Path, project: Path, breakpoints: tuple[str, ...], step: int | None) -> None:
    """Run a recorded flow as plain Python under pdb, answered from the recording.

    Without --break and --step it stops where the flow's first host call is made. Under another
    debugger, call `cordapp_testkit.replay.replay` instead.
    """
    from host.tools.testkit.replay import debug as run

    at_step = 0 if step is None and not breakpoints else step
    ended = run(load(export), project, breakpoints=breakpoints, at_step=at_step)
    click.echo(ended or "left the debugger")


def load(export: Path) -> "Recording":
    from host.cli.flow_show import load_export

    return load_export(export)


def _code(
    recording: "Recording",
    cpi: Path | None,
    project: Path | None,
    cache_dir: Path | None,
    *,
    exact: bool,
) -> "ReplayCode":
    from cpi.package.files import read_limited
    from host.guests.replay.code import code_of_cpi
    from host.tools.cache import default_cache_dir
    from host.tools.flows.replay_code import code_of_folder
    from sandbox.runtime import Sandbox

    if (cpi is None) == (project is None):
        raise click.UsageError("Give the code to run: either --cpi or --project.")

    def progress(text: str) -> None:
        click.echo(text, err=True)

    sandbox = Sandbox(cache_dir=cache_dir or default_cache_dir(), progress=progress)
    flow_class = recording.flow.flow_class
    if cpi is not None:
        return code_of_cpi(read_limited(cpi), cpi.name, flow_class, sandbox, exact=exact)
    return code_of_folder(Path(project or ""), flow_class, sandbox, exact=exact)


def _heading(recording: "Recording", label: str, is_recorded: bool | None) -> str:
    from host.domain.printable import printable

    which = {
        True: "the recorded code",
        False: "other code than was recorded",
        None: "the code of that folder",
    }
    return printable(
        f"{recording.flow.flow_class} of {recording.node.name}: {recording.step_count} steps,"
        f" {recording.outcome.status}; with {label}, {which[is_recorded]}"
    )
