"""`cordbox package diff` and `preflight`: a package against another one, or against a cluster."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from host.cli.host_options import ca_file_option
from host.cli.lines import tell, tell_json
from host.cli.package_options import EXISTING_FILE, OUTPUT_FILE, output_option, resolve_password
from host.cli.pretty import PrettyCommand
from host.domain.printable import printable

if TYPE_CHECKING:
    from host.tools.packages.diff import Difference
    from host.tools.packages.preflight import Preflight

_EXIT_DIFFERENT = 1
_EXIT_REFUSED = 1
_VALUE_MAX = 160


@click.command("diff", cls=PrettyCommand)
@click.argument("left", type=EXISTING_FILE)
@click.argument("right", type=EXISTING_FILE)
@output_option
@click.pass_context
def diff(ctx: click.Context, left: Path, right: Path, output: str) -> None:
    """Show what differs between two packages.

    Exit code 0 when they hold the same, 1 when they differ (or one is refused), 2 wrong usage.
    Signatures must hold; whether they are trusted is not judged.
    """
    from cpi.package.files import open_package
    from cpi.package.verify import read_package
    from host.cli.naming import refusals_of
    from host.tools.packages.diff import differences

    with open_package(left) as left_source, open_package(right) as right_source:
        with refusals_of(left):
            mine = read_package(left_source)
        with refusals_of(right):
            theirs = read_package(right_source)
        found = differences(mine, theirs)
    same_bytes = mine.file_checksum == theirs.file_checksum
    if output == "json":
        document = {
            "left": {"file": str(left), "fileChecksum": mine.file_checksum},
            "right": {"file": str(right), "fileChecksum": theirs.file_checksum},
            "same": not found,
            "sameBytes": same_bytes,
            "differences": [_difference(d) for d in found],
        }
        tell_json(document)
    else:
        _print_differences(found, same_bytes=same_bytes)
    if found:
        ctx.exit(_EXIT_DIFFERENT)


def _difference(difference: "Difference") -> dict[str, str | None]:
    return {
        "area": difference.area,
        "path": difference.path,
        "left": difference.left,
        "right": difference.right,
    }


def _print_differences(found: "tuple[Difference, ...]", *, same_bytes: bool) -> None:
    if not found:
        click.echo("the same" if same_bytes else "the same content in other bytes")
    area = ""
    for difference in found:
        if difference.area != area:
            area = difference.area
            click.echo(f"{area}:")
        for mark, value in (("-", difference.left), ("+", difference.right)):
            if value is not None:
                click.echo(f"  {mark} {_printable(difference.path)}: {_printable(value)}")


def _printable(text: str) -> str:
    """Text from a package on one line, without terminal control characters."""
    shown = printable(text)
    return shown if len(shown) <= _VALUE_MAX else f"{shown[:_VALUE_MAX]}..."


@click.command("preflight", cls=PrettyCommand)
@click.argument("package", type=EXISTING_FILE)
@click.option("--target", metavar="URL", help="URL of a running host.")
@click.option("--cluster", type=EXISTING_FILE, help="Snapshot that --write-cluster wrote.")
@click.option("--user", "-u", default="admin", show_default=True, help="User of the host.")
@click.option(
    "--password",
    "-p",
    envvar="CORDBOX_ADMIN_PASSWORD",
    show_envvar=True,
    help="Password of the user; env:NAME reads it from a variable.",
)
@ca_file_option
@click.option("--write-cluster", type=OUTPUT_FILE, help="Write what the host tells to this file.")
@click.option("--force", is_flag=True, help="Judge a forced upload over a stored CPI.")
@output_option
@click.pass_context
def preflight(
    ctx: click.Context,
    *,
    package: Path,
    target: str | None,
    cluster: Path | None,
    user: str,
    password: str | None,
    ca_file: Path | None,
    write_cluster: Path | None,
    force: bool,
    output: str,
) -> None:
    """Tell whether a cluster will take a CPI, and why not, before it is uploaded.

    Exit code 0 when nothing speaks against it, 1 when the cluster would refuse it, 2 wrong usage.
    What the REST interface does not tell is reported as unknown.
    """
    from cpi.package.files import open_package, read_limited, write_new
    from host.cli.naming import refusals_of
    from host.tools.client.cluster_facts import dump_facts, load_facts
    from host.tools.client.cluster_query import ask_cluster
    from host.tools.packages.preflight import judge

    if (target is None) == (cluster is None):
        raise click.UsageError("Give either --target or --cluster.")
    if target is not None:
        if password is None:
            raise click.UsageError("--target needs --password or CORDBOX_ADMIN_PASSWORD.")
        secret = resolve_password(password)
        facts = ask_cluster(target, user=user, password=secret, ca_file=ca_file)
    else:
        facts = load_facts(read_limited(Path(cluster or "")), source=str(cluster))
    if write_cluster is not None:
        write_new(write_cluster, dump_facts(facts))
    with open_package(package) as source, refusals_of(package):
        report = judge(source, facts, force=force)
    if output == "json":
        tell_json(_report(package, report))
    else:
        for finding in report.findings:
            tell((f"{finding.verdict.value:8} {finding.check}: {finding.message}",))
        click.echo(f"{package}: {'would be refused' if report.refused else 'nothing against it'}")
    if report.refused:
        ctx.exit(_EXIT_REFUSED)


def _report(package: Path, report: "Preflight") -> dict[str, Any]:
    return {
        "file": str(package),
        "cluster": report.cluster,
        "accepted": not report.refused,
        "findings": [
            {"check": f.check, "verdict": f.verdict.value, "message": f.message, "entry": f.entry}
            for f in report.findings
        ],
    }
