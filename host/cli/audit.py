"""`cordbox audit`: what packages may do, by enumeration; and attacks on this host's sandboxes."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from host.cli.audit_admin import admin
from host.cli.audit_gauntlet import gauntlet
from host.cli.audit_log import log
from host.cli.audit_node import audit_node
from host.cli.audit_report import (
    json_text,
    read_policy,
    report_of,
    show_progress,
    write_report,
)
from host.cli.offline_settings import offline_settings, settings_option
from host.cli.package_options import (
    EXISTING_FILE,
    OUTPUT_FILE,
    certificate_option,
    password_option,
    trusted_certificates,
)
from host.cli.pretty import PrettyGroup

if TYPE_CHECKING:
    from cpi.crypto.certificate import Certificate
    from host.tools.audit.model import Audit

_EXIT_FINDINGS = 1


class _AuditGroup(PrettyGroup):
    """`cordbox audit FILE` is the command `file`, `cordbox audit --node ID` the command `node`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] == "--node":
            args = ["node", *args[1:]]
        elif args and args[0] not in {*self.commands, "--help", "-h"}:
            args = ["file", *args]
        return super().parse_args(ctx, args)


@click.group("audit", cls=_AuditGroup, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Audit packages and sandboxes.

    `cordbox audit FILE` is short for `cordbox audit file FILE`, and `cordbox audit --node ID` for
    `cordbox audit node ID`.
    """


for _command in (admin, audit_node, gauntlet, log):
    command.add_command(_command)


@command.command("file")
@click.argument("files", type=EXISTING_FILE, nargs=-1, required=True, metavar="FILE")
@click.option("--diff", "compare", is_flag=True, help="Compare two files: OLD NEW.")
@click.option("--policy", "policy_file", type=EXISTING_FILE, help="Rules as JSON.")
@click.option(
    "--output",
    type=click.Choice(["text", "json", "sarif", "html"]),
    default="text",
    show_default=True,
)
@click.option("--output-file", type=OUTPUT_FILE, help="Write the report there, not to stdout.")
@certificate_option
@click.option("--keystore", "-s", type=EXISTING_FILE, help="PKCS#12 file with certificates.")
@password_option(required=False)
@settings_option
def audit_file(
    *,
    files: tuple[Path, ...],
    compare: bool,
    policy_file: Path | None,
    output: str,
    output_file: Path | None,
    certificates: tuple[Path, ...],
    keystore: Path | None,
    password: str | None,
    settings_file: Path | None,
) -> int:
    """Audit a CPK, CPB or CPI; signed, trusted or not.

    Exit code 0: nothing found; 1: a rule is broken; 2: wrong usage. Without a policy, only what a
    host would refuse is found. With --diff, 1 if the new package may do more than the old.
    """
    trusted: tuple[Certificate, ...] = ()
    if certificates or keystore is not None:
        trusted = trusted_certificates(certificates, keystore, password)
    if compare:
        if len(files) != 2 or output not in {"text", "json"} or policy_file:
            raise click.UsageError("--diff needs OLD and NEW, no policy, and text or json")
        pair = [_audited(path, trusted, settings_file) for path in files]
        return _compare(pair, output, output_file)
    if len(files) != 1:
        raise click.UsageError("give one file, or --diff OLD NEW")
    from host.tools.audit.policy import judge

    policy = read_policy(policy_file)
    audit = _audited(files[0], trusted, settings_file)
    findings = judge(audit, policy)
    write_report(report_of(audit, policy, findings, output), output_file)
    return _EXIT_FINDINGS if findings else 0


@command.command("diff")
@click.argument("old", type=EXISTING_FILE)
@click.argument("new", type=EXISTING_FILE)
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--output-file", type=OUTPUT_FILE, help="Write the report there, not to stdout.")
@certificate_option
@settings_option
def audit_diff(
    *,
    old: Path,
    new: Path,
    output: str,
    output_file: Path | None,
    certificates: tuple[Path, ...],
    settings_file: Path | None,
) -> int:
    """What changed between two packages. Exit code 1 if NEW may do more than OLD."""
    trusted = trusted_certificates(certificates, None, None) if certificates else ()
    pair = [_audited(path, trusted, settings_file) for path in (old, new)]
    return _compare(pair, output, output_file)


def _compare(pair: "list[Audit]", output: str, output_file: Path | None) -> int:
    from host.tools.audit.diff import diff, diff_document, diff_text

    old, new = pair
    changes = diff(old, new)
    if output == "json":
        write_report(json_text(diff_document(old, new, changes)), output_file)
    else:
        write_report(diff_text(old, new, changes), output_file)
    return _EXIT_FINDINGS if any(change.widens for change in changes) else 0


def _audited(file: Path, trusted: "tuple[Certificate, ...]", settings_file: Path | None) -> "Audit":
    from cpi.package.files import read_limited
    from host.cli.naming import refusals_of
    from host.settings.sections import GUEST
    from host.tools.audit.facts import audit_package
    from host.tools.audit.host_limits import limits_of_settings
    from host.tools.cache import default_cache_dir
    from sandbox.runtime import Sandbox

    settings = offline_settings(settings_file)
    with refusals_of(file):
        return audit_package(
            read_limited(file),
            file=str(file),
            trusted=trusted,
            sandbox=Sandbox(cache_dir=default_cache_dir(), progress=show_progress),
            limits=limits_of_settings(settings),
            allowed=frozenset(settings.section(GUEST).allowed_capabilities),
            progress=show_progress,
        )
