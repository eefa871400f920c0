"""`cordbox cordapp lint`: what can make a Python contract differ."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from host.cli.lines import tell_json
from host.cli.package_options import output_option
from host.cli.pretty import PrettyCommand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from host.tools.lint.findings import Finding

EXIT_FOUND = 1


@click.command(cls=PrettyCommand)
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings, too.")
@output_option
def lint(*, directory: Path, strict: bool, output: str) -> int:
    """Find what can make the Python contract of the project in DIRECTORY differ.

    Looks for imports that no sandbox has, clocks, randomness, hash() and id(), the order of sets,
    floats in amounts and global state; and, in flows too, for what a build refuses of the sources,
    such as an entry module that is missing. A comment `# cordbox: allow RULE: reason` on the line,
    or on a line of its own above it, silences one.

    Exit status 0: no errors; 1: errors, or with --strict anything.
    """
    from host.tools.cordapps.project import load_project
    from host.tools.lint.findings import Severity
    from host.tools.lint.run import lint_project

    findings = lint_project(load_project(directory))
    errors = sum(found.severity is Severity.ERROR for found in findings)
    _print(findings, errors, output)
    return EXIT_FOUND if errors or (strict and findings) else 0


def _print(findings: "Sequence[Finding]", errors: int, output: str) -> None:
    if output == "json":
        document = {
            "findings": [
                {
                    "file": found.file,
                    "line": found.line,
                    "column": found.column,
                    "rule": found.rule.value,
                    "severity": found.severity.value,
                    "message": found.message,
                    "hint": found.hint,
                }
                for found in findings
            ],
            "errors": errors,
            "warnings": len(findings) - errors,
        }
        tell_json(document)
        return
    for found in findings:
        place = f"{found.file}:{found.line}:{found.column}"
        click.echo(f"{place}: {found.severity}: {found.message} [{found.rule}]\n    {found.hint}")
