"""`cordbox contract`: what a CPI's contracts say of ledger transactions."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from host.cli.lines import tell, tell_json, tell_json_line
from host.cli.package_options import (
    EXISTING_FILE,
    OUTPUT_FILE,
    certificate_option,
    output_option,
    password_option,
    trusted_certificates,
)
from host.cli.pretty import PrettyGroup
from host.cli.values import SEED

if TYPE_CHECKING:
    from host.tools.contracts.receipts import ReceiptChange, ReceiptFolder
    from host.tools.contracts.report import Tally
    from host.tools.contracts.verification import Case, CpiContracts
    from sandbox.runtime import Sandbox

EXIT_DIFFERENT = 1
EXIT_CRASH = 1
_FOLDER = click.Path(file_okay=False, path_type=Path)
_EXISTING = click.Path(exists=True, path_type=Path)


@click.group("contract", cls=PrettyGroup)
def command() -> None:
    """Verify transactions by a CPI's contracts."""


@command.command("verify")
@click.argument("cpi", type=EXISTING_FILE)
@click.argument("transactions", nargs=-1, required=True)
@certificate_option
@click.option("--keystore", "-s", type=EXISTING_FILE, help="PKCS#12 file with certificates.")
@password_option(required=False)
@click.option("--receipts", type=_FOLDER, help="Folder to write a receipt per transaction to.")
@click.option("--expect", type=_FOLDER, help="Folder of receipts to compare with.")
@click.option("--jobs", "-j", type=click.IntRange(1, 256), help="Processes; default: one per core.")
@click.option(
    "--output", type=click.Choice(["text", "json", "junit"]), default="text", show_default=True
)
@click.option("--output-file", "-o", type=OUTPUT_FILE, help="File to write; default stdout.")
def verify(
    *,
    cpi: Path,
    transactions: tuple[str, ...],
    certificates: tuple[Path, ...],
    keystore: Path | None,
    password: str | None,
    receipts: Path | None,
    expect: Path | None,
    jobs: int | None,
    output: str,
    output_file: Path | None,
) -> int:
    """Verify each TRANSACTION by the contracts of CPI, each in a fresh sandbox.

    A TRANSACTION is a JSON file, a JSON Lines file (.jsonl, .ndjson), a folder of such files, or
    `-` for standard input.

    Exit status 0: every contract accepts every transaction, or, with --expect, every receipt is
    the expected one. 1: a refusal, or, with --expect, a difference. 2: something is no transaction.
    """
    from host.adapters.os.machine import processors
    from host.tools.cache import default_cache_dir
    from host.tools.contracts.inputs import read_all
    from host.tools.contracts.pool import verify_all
    from host.tools.contracts.receipts import ReceiptFolder
    from host.tools.contracts.report import Tally, report_to
    from host.tools.output import whole_file

    total = _count(transactions)
    folder = ReceiptFolder(written=receipts, expected=expect)
    contracts = _open(cpi, certificates, keystore, password, _sandbox())
    tally = Tally(compares=expect is not None)
    started = time.monotonic()
    with ExitStack() as stack:
        out = stack.enter_context(whole_file(output_file)) if output_file else sys.stdout
        report = stack.enter_context(
            report_to(out, output, suite=cpi.name, compares=expect is not None)
        )
        advance = stack.enter_context(_progress_bar(total))
        given = read_all(transactions)
        cases = verify_all(
            contracts, given, jobs=jobs or processors(), cache_dir=default_cache_dir()
        )
        for case, change in _compared(cases, folder):
            tally.count(case, change)
            report.add(case, change)
            advance()
        for missing in folder.missing():
            tally.differing += 1
            report.missing(missing)
        report.finish(tally)
    _tell(tally, time.monotonic() - started)
    return tally.exit_code


@command.command("receipt-diff")
@click.argument("before", type=_EXISTING)
@click.argument("after", type=_EXISTING)
@output_option
def receipt_diff(*, before: Path, after: Path, output: str) -> int:
    """Name each field that differs between two receipts, or two folders of receipts.

    Exit status 0: nothing differs; 1: something does.
    """
    from host.tools.contracts.receipts import compare_receipts
    from host.tools.contracts.report import change_lines

    changes = compare_receipts(before, after)
    if output == "json":
        tell_json({"changes": [asdict(change) for change in changes]})
    else:
        for change in changes:
            click.echo("\n".join(change_lines(change)))
    return EXIT_DIFFERENT if changes else 0


@command.command("fuzz")
@click.argument("cpi", type=EXISTING_FILE)
@certificate_option
@click.option("--keystore", "-s", type=EXISTING_FILE, help="PKCS#12 file with certificates.")
@password_option(required=False)
@click.option(
    "--seed", type=SEED, default=0, show_default=True, help="Another seed, other transactions."
)
@click.option(
    "--examples",
    type=click.IntRange(1, 1_000_000),
    default=5000,
    show_default=True,
    help="Stop after so many transactions without a new kind of crash.",
)
@click.option(
    "--recorded",
    "recorded",
    multiple=True,
    metavar="PATH",
    help="Known transactions to begin with: a file or folder as of `contract verify`; repeatable.",
)
@click.option(
    "--verdict",
    "verdicts",
    multiple=True,
    help="Name of an exception by which the contract refuses; repeatable.",
)
@output_option
def fuzz(
    *,
    cpi: Path,
    certificates: tuple[Path, ...],
    keystore: Path | None,
    password: str | None,
    seed: int,
    examples: int,
    recorded: tuple[str, ...],
    verdicts: tuple[str, ...],
    output: str,
) -> int:
    """Look for transactions that the contracts of CPI answer with a crash instead of a verdict.

    Makes transactions from the schemas of states and commands, and by changing known ones: those of
    --recorded, and those that were accepted or reached a new line. A refusal by require() is a
    verdict; any other exception, and any limit of the sandbox, is a crash. Each kind of crash is
    printed with the smallest transaction found, as JSON that `contract verify` takes. The lines of
    Python contracts that were reached are reported, and it is warned if nothing was accepted.

    Exit status 0: no crash; 1: a crash.
    """
    from host.tools.contracts.inputs import read_all
    from host.tools.fuzz.coverage import WatchedContracts, covered
    from host.tools.fuzz.hunt import VERDICTS, declared_types
    from host.tools.fuzz.hunt import fuzz as search
    from host.tools.fuzz.report import as_document, summary, warnings

    _count(recorded)
    given = list(read_all(recorded))
    wrong = [each.problem for each in given if each.transaction is None]
    if wrong:
        raise click.UsageError("\n".join(wrong))
    sandbox = _sandbox()
    contracts = _open(cpi, certificates, keystore, password, sandbox)
    watched = WatchedContracts(contracts, sandbox)
    with _progress_bar(None) as advance:
        result = search(
            declared_types(contracts.cpi),
            watched.verify,
            examples=examples,
            seed=seed,
            recorded=[each.transaction for each in given if each.transaction is not None],
            watch=watched.watch,
            verdicts=VERDICTS.union(verdicts),
            tick=advance,
        )
    lines = covered(watched.files, result.lines)
    for warning in warnings(result):
        click.echo(f"warning: {warning}", err=True)
    if output == "json":
        tell_json(as_document(result, lines, seed=seed))
    else:
        for crash in result.crashes:
            tell((f"{crash.contract}: {crash.type}: {crash.message}",))
            tell_json_line(crash.transaction)
        click.echo("\n".join(summary(result, lines, seed=seed)), err=True)
    return EXIT_CRASH if result.crashes else 0


def _sandbox() -> "Sandbox":
    from host.tools.cache import default_cache_dir
    from sandbox.runtime import Sandbox

    return Sandbox(cache_dir=default_cache_dir(), progress=_progress)


def _open(
    cpi: Path,
    certificates: tuple[Path, ...],
    keystore: Path | None,
    password: str | None,
    sandbox: "Sandbox",
) -> "CpiContracts":
    from cpi.package.files import read_limited
    from host.cli.naming import refusals_of
    from host.tools.contracts.verification import open_contracts

    trusted = trusted_certificates(certificates, keystore, password)
    with refusals_of(cpi):
        return open_contracts(read_limited(cpi), trusted=trusted, sandbox=sandbox)


def _count(transactions: tuple[str, ...]) -> int | None:
    """The number of transactions, if it can be determined.

    Raises:
        click.UsageError: a file or folder does not exist.
    """
    from host.tools.contracts.inputs import TransactionFileError, count_all

    try:
        return count_all(transactions)
    except TransactionFileError as refused:
        raise click.UsageError(refused.message) from refused


def _compared(
    cases: "Iterator[Case]", folder: "ReceiptFolder"
) -> "Iterator[tuple[Case, ReceiptChange | None]]":
    """Each case with the differences between its receipt and the expected one."""
    for case in cases:
        found = case.verdict
        if found is None:
            yield case, None
        else:
            yield case, folder.take(case.label, found.transaction_id, found.receipt)


@contextmanager
def _progress_bar(total: int | None) -> Iterator[Callable[[], None]]:
    """Yields a function to call after each transaction; shows a progress bar on a terminal."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("transactions", total=total)
        yield lambda: progress.advance(task)


def _progress(step: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"{step} ...", err=True)


def _tell(tally: "Tally", seconds: float) -> None:
    done = tally.accepted + tally.refused
    click.echo(f"{tally} ({done / max(seconds, 1e-6):.0f} a second)", err=True)
