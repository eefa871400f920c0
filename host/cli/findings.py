"""Findings of checks, as commands show them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from host.adapters.files.identity import Finding

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
