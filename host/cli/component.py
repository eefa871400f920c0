"""`cordbox component`: verdicts on WebAssembly components."""

from collections.abc import Iterator
from pathlib import Path

import click

from host.cli.lines import tell, tell_json_line
from host.cli.pretty import PrettyGroup

_FILES_MAX = 100_000


@click.group(cls=PrettyGroup)
def command() -> None:
    """Check WebAssembly components against a world."""


@command.command()
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH...",
)
@click.option(
    "--world",
    type=click.Choice(["contract", "workflow"]),
    help="The world that each component has to fit; without it, only validity is checked.",
)
@click.option(
    "--output",
    type=click.Choice(["text", "jsonl"]),
    default="text",
    show_default=True,
    help="How verdicts are printed, one line for each file.",
)
def check(paths: tuple[Path, ...], world: str | None, output: str) -> int:
    """Judge component files, and every file in folders.

    Nothing of a component is executed; it is compiled in a jailed process. Exit code 1 if any file
    is refused.
    """
    from sandbox.component_check import check_components
    from sandbox.world import World

    refused = 0
    for verdict in check_components(_files(paths), World(world) if world else None):
        refused += not verdict.accepted
        if output == "jsonl":
            line = {
                "file": str(verdict.file),
                "accepted": verdict.accepted,
                "code": verdict.code,
                "message": verdict.message,
            }
            tell_json_line(line)
        elif verdict.accepted:
            print(f"accepted {verdict.file}")
        else:
            tell(("refused", f"{verdict.file}: [{verdict.code}] {verdict.message}"))
    return 1 if refused else 0


def _files(paths: tuple[Path, ...]) -> Iterator[Path]:
    count = 0
    for path in paths:
        if not path.is_dir() and not path.is_file():
            raise click.UsageError(f"{path} is no regular file and no folder")
        found = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in found:
            count += 1
            if count > _FILES_MAX:
                raise click.UsageError(f"more than {_FILES_MAX} files")
            yield file
