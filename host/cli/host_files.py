"""`cordbox host backup`, `restore` and `check`: the files of a data directory."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from host.cli.backup_keys import (
    identity_file_option,
    opener_of,
    passphrase_file_option,
    sealer_of,
)
from host.cli.findings import (
    checked_database,
    checked_directory,
    findings_json,
    tell_findings,
    verdict,
)
from host.cli.lines import tell_json_line
from host.cli.offline_settings import database_upkeep, settings_option
from host.cli.pretty import PrettyCommand
from host.cli.values import Seconds

if TYPE_CHECKING:
    from host.adapters.files.container import Sealer
    from host.ports.storage import DatabaseUpkeep
    from host.tools.backup.continuous import WrittenSegment

_PATH = click.Path(path_type=Path)
_EXISTING = click.Path(path_type=Path, exists=True, dir_okay=False)
_OUTPUT = click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of what is printed on stdout.",
)


@click.command("backup", cls=PrettyCommand)
@click.argument("directory", metavar="DIR", type=_PATH)
@click.argument("file", metavar="FILE", type=_PATH)
@click.option(
    "--recipient",
    metavar="AGE1…",
    help="Encrypt to this age public key instead of a passphrase; its private key restores.",
)
@passphrase_file_option
@click.option(
    "--continuous",
    "is_continuous",
    is_flag=True,
    help="Go on until stopped: FILE is a folder, to which changes are added.",
)
@click.option(
    "--every",
    "seconds",
    type=Seconds(0.1, 3600),
    default=5.0,
    show_default=True,
    help="With --continuous: seconds from one part to the next.",
)
@settings_option
@_OUTPUT
def backup(
    *,
    directory: Path,
    file: Path,
    recipient: str | None,
    passphrase_file: Path | None,
    is_continuous: bool,
    seconds: float,
    settings_file: Path | None,
    output: str,
) -> None:
    """Write an encrypted backup of a host's data directory to FILE; the host may go on running.

    It shows all files as they were at one moment. FILE must not be there; it appears when it is
    complete. Asks for a passphrase on a terminal unless one, or a public key, is given. Of a host
    of a cluster it has the host's own files; the database is backed up by PostgreSQL's means.

    With --continuous it writes a whole backup to the folder FILE, and then what has changed, until
    it is stopped; `cordbox host standby` follows it.
    """
    from host.adapters.os.system import SystemClock
    from host.tools.backup import back_up

    upkeep = _shared(directory, settings_file)
    if is_continuous and upkeep is not None:
        raise click.UsageError("--continuous is for a host that has its data in its directory.")
    sealer = sealer_of(recipient, passphrase_file)
    if is_continuous:
        _back_up_continuously(directory, file, sealer, seconds, output)
        return
    with _progress() as tell:
        written = back_up(
            directory, file, sealer=sealer, clock=SystemClock(), report=tell, upkeep=upkeep
        )
    if output == "json":
        tell_json_line(
            {
                "file": str(written.file),
                "at": written.at,
                "bytes": written.bytes,
                "files": written.sections,
                "contentBytes": written.content_bytes,
                "commitsWaitedMillis": round(written.barrier_seconds * 1000, 1),
                "clusterId": written.cluster_id,
                "storeId": written.store_id,
                "warnings": list(written.warnings),
            }
        )
        return
    print(
        f"{written.file}: {written.sections} files, {written.content_bytes:,} bytes in"
        f" {written.bytes:,}; commits waited {written.barrier_seconds * 1000:.0f} ms"
    )
    for warning in written.warnings:
        print(f"warning: {warning}", file=sys.stderr)


@click.command("restore", cls=PrettyCommand)
@click.argument("file", metavar="FILE", type=_EXISTING)
@click.argument("directory", metavar="DIR", type=_PATH)
@identity_file_option
@passphrase_file_option
@_OUTPUT
def restore(
    file: Path,
    directory: Path,
    identity_file: Path | None,
    passphrase_file: Path | None,
    output: str,
) -> None:
    """Restore a backup to DIR, which must not be there, or be empty.

    DIR appears when every file of it has proved to be as it was backed up. What happened after the
    backup is not in it: see docs/how-to/back-up-and-restore.md before you start a host on it.
    """
    from host.adapters.os.system import SystemClock
    from host.domain.instants import instant_text
    from host.tools.backup import restore as bring_back

    opener = opener_of(identity_file, passphrase_file)
    with _progress() as tell:
        restored = bring_back(
            file,
            directory,
            opener=opener,
            clock=SystemClock(),
            progress=lambda done, total: tell("restore", done, total),
        )
    facts = {
        "directory": str(restored.folder),
        "at": restored.at,
        "files": restored.sections,
        "clusterId": restored.cluster_id,
        "storeId": restored.store_id,
    }
    if output == "json":
        tell_json_line(facts)
    else:
        print(f"{restored.folder}: {restored.sections} files as of {instant_text(restored.at)}")


@click.command("check", cls=PrettyCommand)
@click.argument("directory", metavar="DIR", type=_PATH)
@click.option(
    "--master-passphrase-file",
    type=_EXISTING,
    help="File of the setting master_passphrase_file, if the host has one: keys are checked by it.",
)
@settings_option
@_OUTPUT
def check(
    directory: Path,
    master_passphrase_file: Path | None,
    settings_file: Path | None,
    output: str,
) -> None:
    """Check every file of a data directory that no host runs on; fails if anything is wrong.

    Integrity and schemas of databases, whose they are and how old, keys under the master key,
    packages, audit logs and what they tell against vaults, ledgers of nodes against each other,
    permissions, and files that no host makes. A directory in use is refused: check a backup of it.
    Of a host of a cluster, its own files and the database that the settings name.
    """
    from host.adapters.files.secret_files import read_secret
    from host.tools.data_check import check_own_files

    upkeep = _shared(directory, settings_file)
    if upkeep is not None:
        if master_passphrase_file is not None:
            raise click.UsageError("the settings of a cluster name its passphrase's file")
        shared = checked_database(upkeep, output)
        found, nodes = [*check_own_files(directory), *shared.findings], shared.nodes
    else:
        passphrase = None if master_passphrase_file is None else read_secret(master_passphrase_file)
        report = checked_directory(directory, passphrase, output)
        found, nodes = [*report.findings], report.nodes
    if output == "json":
        facts = {"directory": str(directory), "nodes": nodes, "findings": findings_json(found)}
        tell_json_line({"status": "bad" if found else "good", **facts})
    else:
        tell_findings(found)
        click.echo(f"{directory}: {verdict(found, nodes)}")
    if found:
        sys.exit(1)


def _shared(directory: Path, settings_file: Path | None) -> "DatabaseUpkeep | None":
    """The database of the cluster that a data directory belongs to; None if it has its own."""
    if (directory / "cluster.sqlite").exists():
        if settings_file is not None:
            raise click.UsageError("--settings belongs to a host of a cluster")
        return None
    upkeep = database_upkeep(settings_file)
    if upkeep is None and settings_file is not None:
        raise click.UsageError("the settings name no database: database_url is not set")
    return upkeep


def _back_up_continuously(
    directory: Path, folder: Path, sealer: "Sealer", seconds: float, output: str
) -> None:
    from host.adapters.os.system import SystemClock
    from host.cli.rounds import rounds
    from host.runtime.wiring.offline_acts import offline_act
    from host.tools.backup.continuous import ContinuousBackup, prepare_folder

    prepare_folder(directory, folder)
    with offline_act(directory, "host backup", parameters={"continuous": folder.name}):
        made = ContinuousBackup(directory, folder, sealer=sealer, clock=SystemClock())
        for written in rounds(made.advance, seconds=seconds):
            if written is not None:
                _tell_segment(written, output)


def _tell_segment(written: "WrittenSegment", output: str) -> None:
    from host.domain.instants import instant_text

    if output == "json":
        tell_json_line(
            {
                "file": str(written.segment.path),
                "at": written.at,
                "bytes": written.bytes,
                "files": written.files,
                "contentBytes": written.content_bytes,
                "commitsWaitedMillis": round(written.barrier_seconds * 1000, 1),
            }
        )
    else:
        print(
            f"{written.segment.path.name}: {written.files} files, {written.content_bytes:,}"
            f" bytes in {written.bytes:,} as of {instant_text(written.at)}; commits waited"
            f" {written.barrier_seconds * 1000:.0f} ms"
        )
    sys.stdout.flush()


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each stage, on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _stage, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done)

        yield tell
