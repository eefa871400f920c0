"""`cordbox notary`: the CorDapps of notaries."""

from pathlib import Path

import click

from host.cli.lines import tell_done
from host.cli.package_options import EXISTING_FILE, OUTPUT_FILE, output_option
from host.cli.pretty import PrettyGroup
from host.cli.progress import no_progress, show_progress
from host.cli.signing_options import SigningOptions, signing_options

_VERIFYING = "contract-verifying"


@click.group("notary", cls=PrettyGroup)
def command() -> None:
    """Make the CorDapps of notaries."""


@command.command("create-cpb")
@click.option(
    "--protocol",
    default="non-validating",
    show_default=True,
    help="`non-validating` sees no states, `contract-verifying` verifies whole transactions.",
)
@click.option(
    "--contract-cpk",
    "contracts",
    type=EXISTING_FILE,
    multiple=True,
    help="Signed contract CPK that a contract-verifying notary runs; repeatable.",
)
@click.option("--file", "-f", "file", type=OUTPUT_FILE, required=True, help="CPB to write.")
@signing_options
def create_cpb(
    *,
    protocol: str,
    contracts: tuple[Path, ...],
    file: Path,
    signing: SigningOptions,
    output: str,
) -> None:
    """Build the signed CPB of a notary.

    The same release gives the same content. Add your network's group policy to it with `cordbox
    package create-cpi`, upload it, and register a node with the role of a notary.
    """
    from cpi.package.files import check_new, write_new
    from cpi.package.model import PackageType
    from cpi.package.verify import read_package
    from host.cli.package_report import show_written
    from host.tools.cache import default_cache_dir
    from host.tools.cordapps.notary_build import notary_cpb
    from host.tools.notary_server import server_project
    from sandbox.runtime import Sandbox

    server_project(protocol)  # an unknown one is refused before keys are opened
    if bool(contracts) is not (protocol == _VERIFYING):
        raise click.UsageError(
            f"--contract-cpk: --protocol {_VERIFYING} needs the contracts that it verifies, another"
            " notary verifies none"
        )
    opened = signing.open()
    members = opened.read_cpks(contracts)
    for name, content in members.items():
        (cpk,) = read_package(content, package_type=PackageType.CPK).cpks
        world = "other" if cpk.descriptor is None else cpk.descriptor.world
        if world != "contract":
            raise click.UsageError(
                f"--contract-cpk: {name} is a {world} CPK, expected a contract CPK"
            )
    check_new(file)
    warned = opened.warn(output)
    progress = no_progress if output == "json" else show_progress
    data = notary_cpb(
        protocol,
        members,
        keys=opened.keys,
        sandbox=Sandbox(cache_dir=default_cache_dir(), progress=progress),
        progress=progress,
        signature_name=opened.signature_name,
        stamp=opened.stamp,
    )
    result = opened.check(data, PackageType.CPB, str(file))
    write_new(file, data)
    show_written(file, len(data), result, output, warned=warned)


@command.command("resume")
@click.argument("node")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="Data directory of the stopped host.",
)
@click.option(
    "--uniqueness-current",
    "is_current",
    is_flag=True,
    help="You know that the notary signed nothing after the backup was made.",
)
@output_option
def resume(*, node: str, data_dir: Path, is_current: bool, output: str) -> None:
    """Let the notary of NODE serve again after a restore.

    A backup lacks the states that were spent after it: a notary that goes on from an older one
    signs double spends. NODE is a short hash.
    """
    from host.domain.ids import ShortHash
    from host.tools.backup.restored_notaries import resume_notary

    if not is_current:
        raise click.UsageError(
            "say --uniqueness-current if you know that the notary signed nothing after the backup"
        )
    resume_notary(data_dir, ShortHash(node))
    text = f"{node} serves again when its host is started"
    tell_done(output, text, node=node, outcome="resumed")
