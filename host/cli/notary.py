"""`cordbox notary`: the CorDapps of notaries."""

from pathlib import Path

import click

from host.cli.package_options import OUTPUT_FILE
from host.cli.pretty import PrettyGroup
from host.cli.progress import no_progress, show_progress
from host.cli.signing_options import SigningOptions, signing_options


@click.group("notary", cls=PrettyGroup)
def command() -> None:
    """Make the CorDapps of notaries."""


@command.command("create-cpb")
@click.option(
    "--protocol",
    default="non-validating",
    show_default=True,
    help="What the notary checks: `non-validating` sees no states.",
)
@click.option("--file", "-f", "file", type=OUTPUT_FILE, required=True, help="CPB to write.")
@signing_options
def create_cpb(*, protocol: str, file: Path, signing: SigningOptions, output: str) -> None:
    """Build the signed CPB of a notary.

    The same release gives the same content. Add your network's group policy to it with `cordbox
    package create-cpi`, upload it, and register a node with the role of a notary.
    """
    from cpi.package.files import check_new, write_new
    from cpi.package.model import PackageType
    from host.cli.package_report import show_written
    from host.tools.build import prepare_cordapp, sign_cordapp
    from host.tools.cache import default_cache_dir
    from host.tools.notary_server import server_project
    from host.tools.project import load_project
    from sandbox.runtime import Sandbox

    project = load_project(server_project(protocol))
    opened = signing.open()
    check_new(file)
    warned = opened.warn(output)
    progress = no_progress if output == "json" else show_progress
    sandbox = Sandbox(cache_dir=default_cache_dir(), progress=progress)
    prepared = prepare_cordapp(project, sandbox, progress)
    files = sign_cordapp(
        prepared, opened.keys, signature_name=opened.signature_name, stamp=opened.stamp
    )
    data = files[prepared.cpb_name]
    result = opened.check(data, PackageType.CPB, str(file))
    write_new(file, data)
    show_written(file, len(data), result, output, warned=warned)
