"""`cordbox flow show` and `cordbox flow export`: what a flow did, as a timeline or as a file."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from host.cli.host_options import host_options
from host.cli.package_options import OUTPUT_FILE
from host.cli.pretty import PrettyCommand

if TYPE_CHECKING:
    from host.flow.records.history_export import Recording
    from host.tools.client.host_client import HostClient

_WIDTH_MIN, _WIDTH_MAX = 60, 160
_FILE_BYTES_MAX = 64 * 1024 * 1024


@click.command("show", cls=PrettyCommand)
@click.argument("node", required=False)
@click.argument("request", required=False)
@click.option(
    "--export",
    "exports",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Show this export instead of asking a host; repeatable, the initiator first.",
)
@click.option(
    "--output",
    type=click.Choice(["text", "json", "html"]),
    default="text",
    show_default=True,
    help="A timeline, the recordings, or one page that needs nothing else.",
)
@click.option("--output-file", "-o", type=OUTPUT_FILE, help="File to write; must be new.")
@click.option("--width", type=click.IntRange(_WIDTH_MIN, 1000), help="Columns of the text.")
@click.option("--alone", is_flag=True, help="Only this flow, without its responders.")
@host_options
def show(
    *,
    connect: "Callable[[], HostClient]",
    node: str | None,
    request: str | None,
    exports: tuple[Path, ...],
    output: str,
    output_file: Path | None,
    width: int | None,
    alone: bool,
) -> None:
    """Draw what a flow did, and what its responders on this host did, as a timeline."""
    recordings = _recordings(connect, node, request, exports, alone=alone)
    columns = width or min(_WIDTH_MAX, max(_WIDTH_MIN, shutil.get_terminal_size((80, 24)).columns))
    _write(_drawn(recordings, output, columns), output_file)


@click.command("export", cls=PrettyCommand)
@click.argument("node")
@click.argument("request")
@click.option("--output-file", "-o", type=OUTPUT_FILE, help="File to write; must be new.")
@host_options
def export(
    *,
    connect: "Callable[[], HostClient]",
    node: str,
    request: str,
    output_file: Path | None,
) -> None:
    """Write everything that a replay of a flow needs, with all payloads."""
    from host.tools.flows.client import FlowPlace, HostFlows

    with connect() as client:
        flows = HostFlows(client)
        data = flows.export(FlowPlace(node=flows.node(node), request_id=request))
    _write(data.decode() + "\n", output_file)


def load_export(path: Path) -> "Recording":
    """Read an export file.

    Raises:
        RecordingInvalidError: the file is not an export.
    """
    from cpi.package.files import read_limited
    from host.flow.records.history_export import parse_recording

    return parse_recording(read_limited(path, _FILE_BYTES_MAX), str(path))


def _recordings(
    connect: "Callable[[], HostClient]",
    node: str | None,
    request: str | None,
    exports: tuple[Path, ...],
    *,
    alone: bool,
) -> "Sequence[Recording]":
    if exports:
        if node is not None:
            raise click.UsageError("Give NODE and REQUEST, or --export, not both.")
        return [load_export(path) for path in exports]
    if node is None or request is None:
        raise click.UsageError("Give NODE and REQUEST, or --export.")
    from host.tools.flows.client import FlowPlace, HostFlows

    with connect() as client:
        flows = HostFlows(client)
        place = FlowPlace(node=flows.node(node), request_id=request)
        return [flows.recording(place)] if alone else flows.conversation(place)


def _drawn(recordings: "Sequence[Recording]", output: str, columns: int) -> str:
    from host.tools.flows.conversation import conversation_of

    if output == "json":
        from host.tools.flows.conversation_json import conversation_json

        return conversation_json(conversation_of(recordings))
    if output == "html":
        from host.tools.flows.timeline_page import timeline_page

        return timeline_page(conversation_of(recordings))
    from host.tools.flows.timeline_text import timeline_text

    return timeline_text(conversation_of(recordings), columns)


def _write(text: str, output_file: Path | None) -> None:
    from cpi.package.files import write_new

    if output_file is None:
        click.echo(text, nl=False)
    else:
        write_new(output_file, text.encode())
