"""Checks of commands, and their findings as commands show them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from host.cli.progress import waiting

if TYPE_CHECKING:
    from host.adapters.files.identity import Finding
    from host.ports.storage import DatabaseUpkeep
    from host.tools.data_check import Report, SharedReport

_FIELDS = ("code", "file", "message", "expected", "found")


def findings_json(found: "Sequence[Finding]") -> list[Mapping[str, str]]:
    """Findings as programs read them."""
    return [{name: getattr(each, name) for name in _FIELDS} for each in found]


def tell_findings(found: "Sequence[Finding]") -> None:
    """Print a line for each finding."""
    for each in found:
        click.echo(f"{each.code}: {each.message} (expected {each.expected}, found {each.found})")


def verdict(found: "Sequence[Finding]", nodes: int) -> str:
    """What a check comes to, in some words."""
    return f"{f'{len(found)} findings' if found else 'good'}, {nodes} virtual nodes"


def checked_directory(directory: Path, passphrase: str | None, output: str) -> "Report":
    """What is found in the data directory of a stopped host with registers of its own."""
    from host.runtime.wiring.schemas import CLUSTER_SCHEMAS, NODE_SCHEMAS
    from host.tools.data_check import check_directory

    with waiting("checking the directory", output):
        return check_directory(
            directory,
            passphrase=passphrase,
            cluster_schemas=CLUSTER_SCHEMAS,
            node_schemas=NODE_SCHEMAS,
        )


def checked_database(upkeep: "DatabaseUpkeep", output: str) -> "SharedReport":
    """What is found in the database that the hosts of a cluster share."""
    from host.runtime.wiring.schemas import CLUSTER_SCHEMAS, NOTARY_SCHEMAS, VAULT_SCHEMAS
    from host.tools.data_check import check_shared

    with waiting("checking the database", output):
        return check_shared(
            upkeep,
            cluster_schemas=CLUSTER_SCHEMAS,
            vault_schemas=VAULT_SCHEMAS,
            notary_schemas=NOTARY_SCHEMAS,
        )
