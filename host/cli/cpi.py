"""`cordbox cpi`: the CPIs of a running host."""

from pathlib import Path

import click

from host.cli.host_options import Connect, host_options
from host.cli.lines import limit_option, some, tell, tell_json, tell_table
from host.cli.package_options import EXISTING_FILE, output_option
from host.cli.pretty import PrettyGroup
from host.cli.watching import watchable


@click.group("cpi", cls=PrettyGroup)
def command() -> None:
    """Upload and list the CPIs of a running host.

    CPI is the checksum that `cpi list` shows, or NAME, or NAME:VERSION.
    """


@command.command("upload")
@click.argument("file", type=EXISTING_FILE)
@click.option(
    "--certificate",
    "certificates",
    type=EXISTING_FILE,
    multiple=True,
    help="PEM file with the certificate of a signer that the host shall trust; repeatable.",
)
@click.option("--force", is_flag=True, help="Replace the CPI of the same name and version.")
@host_options
@output_option
def upload(
    *, connect: Connect, file: Path, certificates: tuple[Path, ...], force: bool, output: str
) -> None:
    """Upload the CPI FILE, wait until the host has verified and stored it, and print its checksum.

    A CPI that the host has already is not uploaded again, unless --force is given.
    """
    from cpi.package.files import read_limited
    from host.cli.progress import no_progress, show_progress
    from host.tools.network import operations

    data = read_limited(file)
    progress = no_progress if output == "json" else show_progress
    with connect() as client:
        operations.trust_files(client, certificates)
        if force:
            checksum = operations.upload_cpi(client, data, file.name, force=True, progress=progress)
        else:
            checksum = operations.upload_missing(client, data, file.name, progress=progress)
    if output == "json":
        tell_json({"cpiFileChecksum": checksum})
    else:
        click.echo(checksum)


@command.command("list")
@limit_option
@watchable
@host_options
@output_option
def list_cpis(*, connect: Connect, limit: int, output: str) -> None:
    """List the CPIs of the host."""
    from host.tools.network.operations import cpis

    with connect() as client:
        found = some(cpis(client), limit, "CPIs")
    if output == "json":
        tell_json({"cpis": found})
        return
    rows = [(c["cpiFileChecksum"], c["id"]["cpiName"], c["id"]["cpiVersion"]) for c in found]
    tell_table(("checksum", "name", "version"), rows)


@command.command("get")
@click.argument("cpi", metavar="CPI")
@host_options
@output_option
def get(*, connect: Connect, cpi: str, output: str) -> None:
    """Show one CPI: its identifier, checksums and group policy."""
    from host.tools.client.named_cpis import cpi_named

    with connect() as client:
        found = cpi_named(client, cpi)
    if output == "json":
        tell_json(found)
        return
    tell(("name:      ", found["id"]["cpiName"]))
    tell(("version:   ", found["id"]["cpiVersion"]))
    tell(("signers:   ", found["id"]["signerSummaryHash"] or "none"))
    tell(("checksum:  ", found["cpiFileChecksum"]))
    tell(("SHA-256:   ", found["cpiFileFullChecksum"]))
