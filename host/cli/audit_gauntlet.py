"""`cordbox audit gauntlet`: attacks on this host's sandboxes, or on a whole host."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from host.cli.audit_report import json_text, show_progress
from host.cli.ending_signals import ended_by_signals
from host.cli.offline_settings import default_settings_file, offline_settings, settings_option
from host.cli.package_options import EXISTING_FILE

if TYPE_CHECKING:
    from host.settings import HostSettings

_EXIT_FINDINGS = 1
_SAMPLES = 200


@click.command("gauntlet")
@click.argument("cpi", type=EXISTING_FILE, required=False)
@click.option(
    "--host",
    "whole",
    is_flag=True,
    help="Attack a host of its own, started for it, by flows, strangers and crowds.",
)
@click.option(
    "--attack",
    "names",
    multiple=True,
    metavar="NAME",
    help="With --host: only the attack of this name; repeatable.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=100, max=10_000),
    default=_SAMPLES,
    show_default=True,
    help="With --host: flows of the neighbour that are timed beside each attack, at least, and"
    " beside the quiet host.",
)
@click.option(
    "--isolation",
    type=click.Choice(["shared", "process"]),
    help="Where guests run, instead of what the settings say.",
)
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@settings_option
def gauntlet(
    *,
    cpi: Path | None,
    whole: bool,
    names: tuple[str, ...],
    samples: int,
    isolation: str | None,
    output: str,
    settings_file: Path | None,
) -> int:
    """Attack sandboxes as this host makes them, and tell what stopped each attack.

    Attacks get the host's limits and its `isolation`; with a CPI, the limits of its code, which is
    then the neighbour whose latency is measured meanwhile. With --host, a host is started in a
    temporary directory, and its neighbour is an honest virtual node; if the settings name a
    database, it has to be a new one, which is left as it is afterwards. Exit code 1 if an attack is
    not stopped.
    """
    if whole and cpi is not None:
        raise click.UsageError("--host attacks nodes of its own, give no CPI")
    if names and not whole:
        raise click.UsageError("--attack chooses among the attacks of --host")
    from host.runtime.wiring.empty_database import refuse_used_database

    shown = output == "text"
    settings = offline_settings(settings_file)
    mode = isolation or settings.isolation
    if whole:
        refuse_used_database(settings, "the gauntlet")
        return _attack_host(names, samples, settings_file, mode, shown=shown)
    return _attack_sandboxes(cpi, settings, mode, shown=shown)


def _attack_sandboxes(cpi: Path | None, settings: "HostSettings", mode: str, *, shown: bool) -> int:
    from contextlib import ExitStack

    from cpi.package.files import read_limited
    from host.runtime.wiring.guests import guest_processes
    from host.settings.live import LiveConfig
    from host.settings.sections import SECTIONS
    from host.tools.audit.gauntlet.report import HEAD, document_of, line_of, summary_of
    from host.tools.audit.gauntlet.runner import run_gauntlet
    from host.tools.audit.host_limits import limits_of_settings
    from host.tools.cache import default_cache_dir
    from sandbox.isolation.placing import Apart, Place, here
    from sandbox.runtime import Sandbox

    if shown:
        click.echo(HEAD)
    with ExitStack() as stack:
        place: Place = here
        if mode == "process":
            pool = guest_processes(LiveConfig(SECTIONS, settings.pins))
            stack.callback(pool.close)
            place = Apart(pool)
        report = run_gauntlet(
            sandbox=Sandbox(cache_dir=default_cache_dir(), progress=show_progress),
            limits=limits_of_settings(settings),
            cpi=None if cpi is None else read_limited(cpi),
            on_result=lambda result: click.echo(line_of(result)) if shown else None,
            place=place,
        )
    sys.stdout.write(summary_of(report) if shown else json_text(document_of(report)))
    return 0 if report.held else _EXIT_FINDINGS


def _attack_host(
    names: tuple[str, ...],
    samples: int,
    settings_file: Path | None,
    mode: str,
    *,
    shown: bool,
) -> int:
    from tempfile import TemporaryDirectory

    from host.tools.audit.gauntlet.host_arena import opened_host
    from host.tools.audit.gauntlet.host_attacks import host_attacks
    from host.tools.audit.gauntlet.host_contest import ROUNDS, run_host_gauntlet
    from host.tools.audit.gauntlet.host_report import HEAD, document_of, line_of, summary_of
    from host.tools.cache import default_cache_dir
    from sandbox.runtime import Sandbox

    attacks = {attack.name: attack for attack in host_attacks()}
    if unknown := sorted(set(names) - attacks.keys()):
        known = ", ".join(attacks)
        raise click.UsageError(f"no attack is named {', '.join(unknown)}; there are {known}")
    chosen = [attacks[name] for name in names or attacks]
    cache = default_cache_dir()
    file = settings_file or default_settings_file()
    options: tuple[str, ...] = ("--isolation", mode)
    if file is not None:
        options = ("--settings", str(file.absolute()), *options)
    if shown:
        click.echo(HEAD)
    with (
        ended_by_signals(),
        TemporaryDirectory(prefix="cordbox-gauntlet-") as root,
        opened_host(
            Path(root),
            Sandbox(cache_dir=cache, progress=show_progress),
            cache,
            options,
            attackers=len(chosen) * ROUNDS,
        ) as arena,
    ):
        report = run_host_gauntlet(
            arena,
            chosen,
            samples=samples,
            on_result=lambda row: click.echo(line_of(row)) if shown else None,
        )
    sys.stdout.write(summary_of(report) if shown else json_text(document_of(report)))
    return 0 if report.held else _EXIT_FINDINGS
