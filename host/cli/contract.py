"""`cordbox contract`: what a CPI's contracts say of ledger transactions."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from host.cli.package_options import (
    EXISTING_FILE,
    certificate_option,
    output_option,
    password_option,
    trusted_certificates,
)

if TYPE_CHECKING:
    from host.toolkit.contracts import Verdict

_EXIT_REFUSED = 1


@click.group("contract")
def command() -> None:
    """Verify transactions by a CPI's contracts."""


@command.command("verify")
@click.argument("cpi", type=EXISTING_FILE)
@click.argument("transactions", type=EXISTING_FILE, nargs=-1, required=True)
@certificate_option
@click.option("--keystore", "-s", type=EXISTING_FILE, help="PKCS#12 file with certificates.")
@password_option(required=False)
@output_option
def verify(
    *,
    cpi: Path,
    transactions: tuple[Path, ...],
    certificates: tuple[Path, ...],
    keystore: Path | None,
    password: str | None,
    output: str,
) -> int:
    """Verify each TRANSACTION (a ledger transaction as JSON) by the contracts of CPI.

    Exit status 0: every contract accepts every transaction; 1: at least one refuses.
    """
    from host.toolkit.cache import default_cache_dir
    from host.toolkit.contracts import read_transaction, verify_transactions
    from sandbox.limits import Limits
    from sandbox.runtime import Sandbox

    verdicts = list(
        verify_transactions(
            cpi.read_bytes(),
            [read_transaction(path) for path in transactions],
            trusted=trusted_certificates(certificates, keystore, password),
            sandbox=Sandbox(cache_dir=default_cache_dir(), progress=_progress),
            limits=Limits(),
        )
    )
    _print(list(zip(transactions, verdicts, strict=True)), output)
    return _EXIT_REFUSED if any(verdict.failures for verdict in verdicts) else 0


def _progress(step: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"{step} ...", err=True)


def _print(results: "list[tuple[Path, Verdict]]", output: str) -> None:
    if output == "json":
        documents = [
            {
                "file": str(path),
                "id": verdict.transaction_id,
                "accepted": not verdict.failures,
                "failures": list(verdict.failures),
            }
            for path, verdict in results
        ]
        click.echo(json.dumps({"transactions": documents}, indent=2))
        return
    for path, verdict in results:
        click.echo(f"{path}: {'refused' if verdict.failures else 'accepted'}")
        for failure in verdict.failures:
            click.echo(f"  {failure['contract']}: {failure['type']}: {failure['message']}")
