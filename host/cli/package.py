"""`cordbox package`: create, sign, verify and inspect CPKs, CPBs and CPIs.

Command and option names are corda-cli's. Unlike corda-cli, these commands verify packages before
they pack them, verify the result before it gets its file name, and have exit codes: 0 fine, 1
refused, 2 wrong usage.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import click

from host.cli.package_options import (
    EXISTING_FILE,
    certificate_option,
    output_option,
    password_option,
    trusted_certificates,
)
from host.cli.pretty import LazyGroup
from host.cli.values import Moment

if TYPE_CHECKING:
    from cpi.package.model import PackageType

_EXIT_REFUSED = 1
_WRITE, _COMPARE = "host.cli.package_write", "host.cli.package_compare"
_FILE_OR_STDIN = click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True)
_TYPES = click.Choice(["auto", "CPK", "CPB", "CPI"], case_sensitive=False)


class _PackageCommands(LazyGroup):
    lazy: ClassVar[Mapping[str, tuple[str, str, str]]] = {
        "create-cpb": (_WRITE, "create_cpb", "Pack signed CPKs (*.jar) into a signed CPB."),
        "create-cpi": (_WRITE, "create_cpi", "Make a signed CPI from a CPB and a group policy."),
        "diff": (_COMPARE, "diff", "Show what differs between two packages."),
        "preflight": (_COMPARE, "preflight", "Tell whether a cluster will take a CPI, and why."),
        "sign": (_WRITE, "sign", "Sign a CPK, CPB or CPI."),
    }


@click.group("package", cls=_PackageCommands)
def command() -> None:
    """Create, sign, verify, inspect and compare CPBs and CPIs."""


@command.command("verify")
@click.argument("package", type=EXISTING_FILE, required=False)
@click.option(
    "--file", "-f", "file", type=_FILE_OR_STDIN, help="PACKAGE as corda-cli has it, or -."
)
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
    package: Path | None,
    file: Path | None,
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
    from cpi.package.files import open_package
    from cpi.package.verify import verify_package
    from host.cli.package_report import show_accepted, show_refused

    named = package or file
    if named is None or (package and file):
        raise click.UsageError("Name one package, as PACKAGE or by --file.")
    trusted = trusted_certificates(certificates, keystore, password)
    with _on_disk(named) as path, open_package(path) as source:
        try:
            result = verify_package(
                source,
                package_type=_package_type(kind, named),
                trusted=trusted,
                at=at,
                signature_only=signature_only,
            )
        except PackageRefusedError as refused:
            show_refused(named, source, refused, output)
            ctx.exit(_EXIT_REFUSED)
    show_accepted(named, result, output)


@command.command("inspect")
@click.argument("package", type=EXISTING_FILE)
@click.option("--type", "-t", "kind", type=_TYPES, default="auto", show_default=True)
@output_option
def inspect(package: Path, kind: str, output: str) -> None:
    """Show what a package holds. Signatures must hold; whether they are trusted is not judged."""
    from cpi.package.files import open_package
    from cpi.package.verify import read_package
    from host.cli.naming import refusals_of
    from host.cli.package_report import show_content

    with open_package(package) as source, refusals_of(package):
        result = read_package(source, package_type=_package_type(kind, package))
        show_content(package, source.size, result, output)


@contextmanager
def _on_disk(named: Path) -> Iterator[Path]:
    """The package's path; standard input (`-`) is copied to a temporary file first."""
    if str(named) != "-":
        yield named
        return
    from tempfile import NamedTemporaryFile

    from cpi.limits import DEFAULT_LIMITS

    with NamedTemporaryFile(prefix="cordbox-", suffix=".package") as copy:
        copied = 0
        while piece := sys.stdin.buffer.read(1 << 20):
            copied += len(piece)
            if copied > DEFAULT_LIMITS.archive_bytes_max:
                raise click.UsageError(
                    f"standard input is larger than {DEFAULT_LIMITS.archive_bytes_max} bytes"
                )
            copy.write(piece)
        copy.flush()
        yield Path(copy.name)


def _package_type(kind: str, package: Path) -> "PackageType | None":
    """The requested type; `auto` uses the file's extension if it is known, as Corda does."""
    from cpi.package.model import PackageType

    name = package.suffix.removeprefix(".").upper() if kind == "auto" else kind.upper()
    return PackageType(name) if name in set(PackageType) else None
