"""`cordbox package`: create, sign, verify and inspect CPKs, CPBs and CPIs.

Command and option names are corda-cli's. Unlike it, what is packed is verified first, the finished
package is verified before it appears under its name, and exit codes tell: 0 fine, 1 refused,
2 wrong usage.
"""

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from host.cli.package_options import (
    EXISTING_FILE,
    OUTPUT_FILE,
    Moment,
    certificate_option,
    open_signing,
    output_option,
    password_option,
    signing_options,
    trusted_certificates,
)

if TYPE_CHECKING:
    from cpi.model import PackageType

_POLICY_BYTES_MAX = 1024 * 1024
_EXIT_REFUSED = 1
_TYPES = click.Choice(["auto", "CPK", "CPB", "CPI"], case_sensitive=False)


@click.group("package")
def command() -> None:
    """Create, sign, verify and inspect CPBs and CPIs."""


@command.command("create-cpb")
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
    keystore: Path,
    password: str,
    alias: str | None,
    certificates: tuple[Path, ...],
    signature_name: str | None,
    output: str,
) -> None:
    """Pack signed CPKs (*.jar) into a signed CPB."""
    from cpi.build import build_cpb
    from cpi.files import read_limited, write_new
    from cpi.model import PackageType
    from host.cli.package_report import show_written

    signing = open_signing(keystore, password, alias, certificates, signature_name)
    members: dict[str, bytes] = {}
    for path in cpks:
        if path.name in members:
            raise click.UsageError(f"two CPKs have the file name {path.name}")
        members[path.name] = read_limited(path)
        signing.check(members[path.name], PackageType.CPK, str(path))
    data = build_cpb(
        name=cpb_name,
        version=cpb_version,
        cpks=members,
        keys=[signing.key],
        upgrade=upgrade,
        signature_name=signature_name,
    )
    result = signing.check(data, PackageType.CPB, str(file))
    write_new(file, data)
    show_written(file, len(data), result, output)


@command.command("create-cpi")
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
    keystore: Path,
    password: str,
    alias: str | None,
    certificates: tuple[Path, ...],
    signature_name: str | None,
    output: str,
) -> None:
    """Make a signed CPI from a CPB and a GroupPolicy.json."""
    from cpi.build import build_cpi
    from cpi.files import read_limited, write_new
    from cpi.model import PackageType
    from host.cli.package_report import show_written

    if file is None and cpb is None:
        raise click.UsageError("Must specify an Output File if no CPB is provided.")
    target = file or Path(cpb or "").with_suffix(".cpi")
    signing = open_signing(keystore, password, alias, certificates, signature_name)
    bundle = None
    if cpb is not None:
        bundle = (cpb.name, read_limited(cpb))
        signing.check(bundle[1], PackageType.CPB, str(cpb))
    data = build_cpi(
        name=cpi_name,
        version=cpi_version,
        cpb=bundle,
        group_policy=_read_policy(group_policy),
        keys=[signing.key],
        upgrade=upgrade,
        signature_name=signature_name,
    )
    result = signing.check(data, PackageType.CPI, str(target))
    write_new(target, data)
    show_written(target, len(data), result, output)


def _read_policy(source: str) -> str:
    from cpi.files import read_limited

    try:
        if source == "-":
            return sys.stdin.buffer.read(_POLICY_BYTES_MAX + 1).decode()
        return read_limited(Path(source), _POLICY_BYTES_MAX).decode()
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{source} is not UTF-8: {error.reason}") from error


@command.command("sign")
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
    *,
    package: Path,
    file: Path,
    multiple_signatures: bool,
    keystore: Path,
    password: str,
    alias: str | None,
    certificates: tuple[Path, ...],
    signature_name: str | None,
    output: str,
) -> None:
    """Sign a CPK, CPB or CPI; packages inside it keep their own signatures."""
    from cpi.files import read_limited, write_new
    from cpi.signing import resign
    from cpi.verify import read_package
    from host.cli.package_report import show_written

    signing = open_signing(keystore, password, alias, certificates, signature_name)
    data = resign(
        read_limited(package),
        [signing.key],
        keep_signatures=multiple_signatures,
        signature_name=signature_name,
    )
    result = read_package(data)
    write_new(file, data)
    show_written(file, len(data), result, output)


@command.command("verify")
@click.argument("package", type=EXISTING_FILE)
@click.option("--type", "-t", "kind", type=_TYPES, default="auto", show_default=True)
@certificate_option
@click.option("--keystore", "-s", type=EXISTING_FILE, help="PKCS#12 file with certificates.")
@password_option(required=False)
@click.option("--signature-only", is_flag=True, help="Check signatures and trust alone.")
@click.option("--at", type=Moment(), help="Check certificates at this time instead of now.")
@output_option
@click.pass_context
def verify(
    ctx: click.Context,
    *,
    package: Path,
    kind: str,
    certificates: tuple[Path, ...],
    keystore: Path | None,
    password: str | None,
    signature_only: bool,
    at: datetime | None,
    output: str,
) -> None:
    """Verify a package: exit code 0 accepted, 1 refused, 2 wrong usage."""
    from cpi.errors import PackageRefusedError
    from cpi.files import open_package
    from cpi.verify import verify_package
    from host.cli.package_report import show_accepted, show_refused

    trusted = trusted_certificates(certificates, keystore, password)
    with open_package(package) as source:
        try:
            result = verify_package(
                source,
                package_type=_package_type(kind, package),
                trusted=trusted,
                at=at,
                signature_only=signature_only,
            )
        except PackageRefusedError as refused:
            show_refused(package, source, refused, output)
            ctx.exit(_EXIT_REFUSED)
    show_accepted(package, result, output)


@command.command("inspect")
@click.argument("package", type=EXISTING_FILE)
@click.option("--type", "-t", "kind", type=_TYPES, default="auto", show_default=True)
@output_option
def inspect(package: Path, kind: str, output: str) -> None:
    """Show what a package holds. Signatures must hold; whether they are trusted is not judged."""
    from cpi.files import open_package
    from cpi.verify import read_package
    from host.cli.package_report import show_content

    with open_package(package) as source:
        result = read_package(source, package_type=_package_type(kind, package))
        show_content(package, source.size, result, output)


def _package_type(kind: str, package: Path) -> "PackageType | None":
    """The type asked for; `auto` takes the file's extension if it tells, as Corda does."""
    from cpi.model import PackageType

    name = package.suffix.removeprefix(".").upper() if kind == "auto" else kind.upper()
    return PackageType(name) if name in set(PackageType) else None
