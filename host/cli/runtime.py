"""`cordbox runtime`: the pinned Python runtimes."""

import datetime as dt
from dataclasses import asdict
from pathlib import Path

import click

from host.cli.lines import tell_json
from host.cli.pretty import PrettyGroup

_OUTPUT = click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How the answer is printed.",
)


@click.group(cls=PrettyGroup)
def command() -> None:
    """List, verify and build the pinned Python runtimes."""


@command.command(name="list")
@_OUTPUT
def list_runtimes(output: str) -> None:
    """List the installed runtimes, oldest first; the last one of a world is its default."""
    from sandbox.pinned import pinned_runtimes

    runtimes = pinned_runtimes()
    if output == "json":
        tell_json([asdict(runtime) for runtime in runtimes])
        return
    for runtime in runtimes:
        print(
            f"{runtime.world:<9} {runtime.digest}  {runtime.size} bytes  "
            f"componentize-py {runtime.componentize_py}  {runtime.built}"
        )


@command.command()
@_OUTPUT
def verify(output: str) -> int:
    """Recompute the digest of every installed runtime. Exit code 1 if one is damaged."""
    from sandbox.runtime_build import check_runtimes

    damaged = 0
    lines = []
    for check in check_runtimes():
        damaged += check.error is not None
        lines.append(
            {
                "digest": check.runtime.digest,
                "world": check.runtime.world,
                "intact": check.error is None,
                "current": check.current,
                "message": check.error.message if check.error else None,
            }
        )
    if output == "json":
        tell_json(lines)
    else:
        for line in lines:
            state = "intact" if line["intact"] else f"DAMAGED: {line['message']}"
            age = (
                "" if line["current"] else " (built from another WIT or loader than the installed)"
            )
            print(f"{line['world']:<9} {line['digest']}  {state}{age}")
    return 1 if damaged else 0


@command.command()
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the runtimes and their provenance are written; the installed ones by default.",
)
@_OUTPUT
def build(directory: Path | None, output: str) -> None:
    """Build new runtimes of both worlds with componentize-py, beside the older ones.

    Every build gives other bytes and so another digest. Packages name the runtime that they were
    built with, so older runtimes have to stay.
    """
    from sandbox.pinned import DIRECTORY, pinned_runtimes
    from sandbox.runtime_build import build_runtime, build_shelf, pin_runtimes
    from sandbox.world import World

    folder = directory or DIRECTORY
    folder.mkdir(parents=True, exist_ok=True)
    click.echo("compiling the standard modules", err=True)
    shelf = build_shelf()
    components = {}
    for world in World:
        click.echo(f"building the runtime of world {world}", err=True)
        components[world] = build_runtime(world, shelf)
    pin_runtimes(components, built=dt.datetime.now(dt.UTC).date().isoformat(), directory=folder)
    made = pinned_runtimes(folder)[-len(components) :]
    if output == "json":
        tell_json([asdict(runtime) for runtime in made])
        return
    for runtime in made:
        print(f"{runtime.world:<9} {runtime.digest}  {runtime.size} bytes")
