"""`cordbox package create-cpb | create-cpi | sign`: a package is written whole or not at all."""

import sys
from pathlib import Path

import click

from host.cli.package_options import EXISTING_FILE, OUTPUT_FILE
from host.cli.pretty import PrettyCommand
from host.cli.signing_options import SigningOptions, signing_options

_POLICY_BYTES_MAX = 1024 * 1024


@click.command("create-cpb", cls=PrettyCommand)
@click.argument("cpks", type=EXISTING_FILE, nargs=-1, required=True)
@click.option("--cpb-name", required=True, help="Name in the manifest.")
@click.option("--cpb-version", required=True, help="Version in the manifest.")
@click.option("--upgrade", type=bool, default=False, show_default=True, help="Corda-CPB-Upgrade.")
@click.option("--file", "-f", "file", type=OUTPUT_FILE, required=True, help="CPB to write.")
@signing_options
def create_cpb(
    *,
    cpks: tuple[Path, ...],
    cpb_name: str,
    cpb_version: str,
    upgrade: bool,
    file: Path,
    signing: SigningOptions,
    output: str,
) -> None:
    """Pack signed CPKs (*.jar) into a signed CPB."""
    from cpi.package.build import build_cpb
    from cpi.package.files import check_new, write_new
    from cpi.package.model import PackageType
    from host.cli.package_report import show_written

    opened = signing.open()
    members = opened.read_cpks(cpks)
    check_new(file)
    warned = opened.warn(output)
    data = build_cpb(
        name=cpb_name,
        version=cpb_version,
        cpks=members,
        keys=opened.keys,
        upgrade=upgrade,
        signature_name=opened.signature_name,
        stamp=opened.stamp,
    )
    result = opened.check(data, PackageType.CPB, str(file))
    write_new(file, data)
    show_written(file, len(data), result, output, warned=warned)


@click.command("create-cpi", cls=PrettyCommand)
@click.option("--cpb", "-c", "cpb", type=EXISTING_FILE, help="CPB; an MGM's CPI has none.")
@click.option("--group-policy", "-g", required=True, help="GroupPolicy.json, or - for stdin.")
@click.option("--cpi-name", required=True, help="Name in the manifest.")
@click.option("--cpi-version", required=True, help="Version in the manifest.")
@click.option("--upgrade", type=bool, default=False, show_default=True, help="Corda-CPI-Upgrade.")
@click.option(
    "--file", "-f", "file", type=OUTPUT_FILE, help="CPI to write; default: the CPB's name, .cpi."
)
@signing_options
def create_cpi(
    *,
    cpb: Path | None,
    group_policy: str,
    cpi_name: str,
    cpi_version: str,
    upgrade: bool,
    file: Path | None,
    signing: SigningOptions,
    output: str,
) -> None:
    """Make a signed CPI from a CPB and a GroupPolicy.json."""
    from cpi.package.build import build_cpi
    from cpi.package.files import check_new, read_limited, write_new
    from cpi.package.group_policy import parse_group_policy
    from cpi.package.model import PackageType
    from host.cli.naming import refusals_of
    from host.cli.package_report import show_written

    if file is None and cpb is None:
        raise click.UsageError("Must specify an Output File if no CPB is provided.")
    target = file or Path(cpb or "").with_suffix(".cpi")
    opened = signing.open()
    bundle = None
    if cpb is not None:
        bundle = (cpb.name, read_limited(cpb))
        opened.check(bundle[1], PackageType.CPB, str(cpb))
    policy = _read_policy(group_policy)
    with refusals_of("standard input" if group_policy == "-" else group_policy):
        parse_group_policy(policy)
    check_new(target)
    warned = opened.warn(output)
    data = build_cpi(
        name=cpi_name,
        version=cpi_version,
        cpb=bundle,
        group_policy=policy,
        keys=opened.keys,
        upgrade=upgrade,
        signature_name=opened.signature_name,
        stamp=opened.stamp,
    )
    result = opened.check(data, PackageType.CPI, str(target))
    write_new(target, data)
    show_written(target, len(data), result, output, warned=warned)


def _read_policy(source: str) -> str:
    from cpi.package.files import read_limited

    try:
        if source == "-":
            return sys.stdin.buffer.read(_POLICY_BYTES_MAX + 1).decode()
        return read_limited(Path(source), _POLICY_BYTES_MAX).decode()
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{source} is not UTF-8: {error.reason}") from error


@click.command("sign", cls=PrettyCommand)
@click.argument("package", type=EXISTING_FILE)
@click.option("--file", "-f", "file", type=OUTPUT_FILE, required=True, help="File to write.")
@click.option(
    "--multiple-signatures",
    type=bool,
    default=False,
    show_default=True,
    help="Add a signature instead of replacing those that are there.",
)
@signing_options
def sign(
    *, package: Path, file: Path, multiple_signatures: bool, signing: SigningOptions, output: str
) -> None:
    """Sign a CPK, CPB or CPI; packages inside it keep their own signatures.

    The new signatures must verify, with the keys' own certificates trusted. Whether the signatures
    that are kept are trusted is not judged.
    """
    from cpi.package.files import check_new, read_limited, write_new
    from cpi.package.resigning import resigned
    from host.cli.naming import refusals_of
    from host.cli.package_report import show_written

    opened = signing.open()
    unsigned = read_limited(package)
    check_new(file)
    warned = opened.warn(output)
    with refusals_of(package):
        data, result = resigned(
            unsigned,
            opened.keys,
            trusted=opened.trusted,
            keep_signatures=multiple_signatures,
            signature_name=opened.signature_name,
            stamp=opened.stamp,
        )
    write_new(file, data)
    show_written(file, len(data), result, output, warned=warned)
