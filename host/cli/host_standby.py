"""`cordbox host standby`: keeps a continuous backup ready to take over."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from host.cli.backup_keys import identity_file_option, opener_of, passphrase_file_option
from host.cli.lines import tell_json_line
from host.cli.package_options import output_option
from host.cli.pretty import PrettyCommand
from host.cli.values import Seconds

if TYPE_CHECKING:
    from host.tools.backup.standby import Applied, Standby


@click.command("standby", cls=PrettyCommand)
@click.argument(
    "folder", metavar="FOLDER", type=click.Path(path_type=Path, exists=True, file_okay=False)
)
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@identity_file_option
@passphrase_file_option
@click.option(
    "--take-over",
    "is_take_over",
    is_flag=True,
    help="Make DIR of the newest parts, and end. The host that was backed up must never run again.",
)
@click.option(
    "--every",
    "seconds",
    type=Seconds(0.1, 3600),
    default=1.0,
    show_default=True,
    help="Seconds from one look at FOLDER to the next.",
)
@output_option
def standby(
    *,
    folder: Path,
    directory: Path,
    identity_file: Path | None,
    passphrase_file: Path | None,
    is_take_over: bool,
    seconds: float,
    output: str,
) -> None:
    """Follow the continuous backup in FOLDER, and keep its files ready beside DIR, until stopped.

    DIR must not be there, or be empty. `--take-over` verifies all files and makes DIR of them, on
    which a host can be started: see docs/how-to/high-availability.md before you do.
    """
    from host.adapters.files.container import ContainerDamagedError, ContainerInvalidError
    from host.adapters.os.system import SystemClock
    from host.cli.rounds import rounds
    from host.tools.backup.part_keys import PartKeys
    from host.tools.backup.standby import Standby

    arriving = (ContainerDamagedError, ContainerInvalidError)  # a part that is still being sent
    keys = PartKeys(opener_of(identity_file, passphrase_file))
    with Standby(folder, directory, opener_of=keys.opener, clock=SystemClock()) as made:
        if is_take_over:
            _take_over(made, output)
            return
        for applied in rounds(made.advance, seconds=seconds, also=arriving):
            for each in applied:
                _tell(each, output)


def _take_over(made: "Standby", output: str) -> None:
    from host.domain.instants import instant_text

    taken = made.take_over()
    restored = taken.restored
    if taken.left_out is not None:
        print(f"warning: {taken.left_out.name} is torn, and left out", file=sys.stderr)
    if output == "json":
        facts = {
            "directory": str(restored.folder),
            "part": taken.number,
            "at": restored.at,
            "files": restored.sections,
            "clusterId": restored.cluster_id,
            "storeId": restored.store_id,
            "leftOut": None if taken.left_out is None else taken.left_out.name,
        }
        tell_json_line(facts)
    else:
        print(
            f"{restored.folder}: {restored.sections} files as of {instant_text(restored.at)}"
            f" (part {taken.number})"
        )


def _tell(applied: "Applied", output: str) -> None:
    from host.domain.instants import instant_text

    if output == "json":
        tell_json_line({"part": applied.number, "at": applied.at})
    else:
        print(f"part {applied.number}: as of {instant_text(applied.at)}", flush=True)
