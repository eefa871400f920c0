"""`cordbox network upgrade-cpi`: another version of a CPI for all nodes that run it."""

from pathlib import Path

import click

from host.cli.host_options import Connect, host_options
from host.cli.lines import tell, tell_json
from host.cli.package_options import EXISTING_FILE, output_option


@click.command("upgrade-cpi")
@click.option("--cpi-file", type=EXISTING_FILE, required=True, help="The CPI's next version.")
@click.option(
    "--flows",
    type=click.Choice(("drain", "finish", "migrate")),
    default="finish",
    show_default=True,
    help="What becomes of open flows: see `vnode upgrade`.",
)
@host_options
@output_option
def upgrade_cpi(*, connect: Connect, cpi_file: Path, flows: str, output: str) -> None:
    """Upload a CPI, and upgrade every node of the host that runs another version of it.

    One node after the other; a refusal leaves its node, and those after it, as they are. Run it
    again to go on.
    """
    from cpi.package.files import read_limited
    from host.cli.progress import no_progress, show_progress
    from host.tools.network import operations, upgrades

    progress = no_progress if output == "json" else show_progress
    done: list[str] = []
    with connect() as client:
        data = read_limited(cpi_file)
        target = operations.upload_missing(client, data, cpi_file.name, progress=progress)
        for node in upgrades.of_other_versions(client, target):
            progress(node)
            request = upgrades.upgrade(client, node, target, flows=flows, diverging="finish")
            upgrades.until_upgraded(client, request, seconds=2400, progress=progress)
            done.append(node)
            if output == "text":
                tell((node, target))
    if output == "json":
        tell_json({"cpiFileChecksum": target, "upgraded": done})
