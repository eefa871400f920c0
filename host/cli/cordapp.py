"""`cordbox cordapp`: build CorDapps into signed packages, and start new ones."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from host.cli.cordapp_lint import lint
from host.cli.lines import json_text, tell_json
from host.cli.package_options import EXISTING_FILE, output_option
from host.cli.pretty import PrettyGroup
from host.cli.progress import no_progress, show_progress
from host.cli.signing_options import SigningOptions, signing_options

if TYPE_CHECKING:
    from host.tools.cordapps.build import BuiltCordapp
    from host.tools.cordapps.toolchains import ComponentBuilder
    from host.tools.packages.rebuild import RebuildVerdict

EXIT_DIFFERENT = 1


@click.group(cls=PrettyGroup)
def command() -> None:
    """Build CorDapps into signed packages."""


command.add_command(lint)


@command.command()
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the packages go; by default `build` in the project's folder.",
)
@signing_options
def build(
    *,
    directory: Path,
    output_dir: Path | None,
    signing: SigningOptions,
    output: str,
) -> None:
    """Turn the project in DIRECTORY into signed CPKs and a signed CPB.

    The first build of new sources compiles them to machine code, which takes some seconds; a
    repeated build takes the compiled code from the cache.
    """
    from host.tools.cache import default_cache_dir
    from host.tools.cordapps.build import build_cordapp
    from sandbox.runtime import Sandbox

    progress = no_progress if output == "json" else show_progress
    opened = signing.open()
    for issue in opened.checked_keys():
        click.echo(f"warning[{issue.code}]: {issue.message}", err=True)
    built = build_cordapp(
        directory,
        keys=opened.keys,
        out_dir=output_dir or directory / "build",
        sandbox=Sandbox(cache_dir=default_cache_dir(), progress=progress),
        progress=progress,
        build_component=_toolchains(),
        signature_name=opened.signature_name,
        stamp=opened.stamp,
    )
    for warning in built.warnings:
        click.echo(f"warning: {warning}", err=True)
    _print(built, output)


@command.command()
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--check",
    "file",
    required=True,
    type=EXISTING_FILE,
    help="The CPK, CPB or CPI to compare with.",
)
@output_option
def rebuild(*, directory: Path, file: Path, output: str) -> int:
    """Tell whether a package was built from the project in DIRECTORY.

    Rebuilds the project, with the runtime that the package names, and compares every entry except
    signature files; no signing key is needed. Prints VERIFIED, or the entries that differ. Whether
    the signers are to be trusted is not judged: see `cordbox package verify`.

    Exit code 0: every entry comes from these sources; 1: something differs, or the package or the
    project is refused.
    """
    from host.cli.naming import refusals_of
    from host.tools.cache import default_cache_dir
    from host.tools.packages.rebuild import check_rebuild
    from sandbox.runtime import Sandbox

    progress = no_progress if output == "json" else show_progress
    sandbox = Sandbox(cache_dir=default_cache_dir(), progress=progress)
    with refusals_of(file):
        verdict = check_rebuild(directory, file, sandbox, progress, build_component=_toolchains())
    if output == "json":
        tell_json(_verdict_json(file, verdict))
    elif verdict.verified:
        click.echo(f"VERIFIED {file}  {verdict.type}  {verdict.checksum}")
    else:
        click.echo(f"DIFFERENT {file}  {verdict.type}  {verdict.checksum}")
        for found in verdict.differences:
            values = f"built {found.built or 'nothing'}, found {found.found or 'nothing'}"
            click.echo(f"  {found.kind}: {found.entry}: {values}")
    return 0 if verdict.verified else EXIT_DIFFERENT


@command.command()
@click.argument("name")
@click.option("--vendor", default="Example", show_default=True, help="Vendor in the packages.")
@output_option
def new(*, name: str, vendor: str, output: str) -> None:
    """Start a project in the new folder NAME: a project file, one flow, and a test of it."""
    from host.tools.cordapps.scaffold import new_project

    files = [str(path) for path in new_project(Path(), name, vendor=vendor)]
    click.echo(json_text({"files": files}) if output == "json" else "\n".join(files))


def _toolchains() -> "ComponentBuilder":
    """The languages that the built-in plugin supports."""
    from host.runtime.plugin_loading import make_plugin_manager
    from host.tools.cordapps.toolchains import component_builder

    return component_builder(make_plugin_manager(("toolchains",)))


def _print(built: "BuiltCordapp", output: str) -> None:
    if output == "json":
        tell_json(_as_json(built))
        return
    for cpk in built.cpks:
        declared = cpk.descriptor
        click.echo(f"{cpk.file.path}  {cpk.file.size} bytes  {cpk.file.digest}")
        click.echo(f"  {declared.world} CPK {cpk.symbolic_name}, code {declared.code_digest}")
        for kind in ("contracts", "states", "queries", "flows", "entities"):
            names = [item["name"] for item in getattr(declared, kind)]
            if names and (declared.world == "workflow") == (kind in ("flows", "entities")):
                click.echo(f"  {kind}: {', '.join(names)}")
        if declared.capabilities:
            click.echo(f"  capabilities: {', '.join(declared.capabilities)}")
    click.echo(f"{built.cpb.path}  {built.cpb.size} bytes  {built.cpb.digest}")


def _as_json(built: "BuiltCordapp") -> dict[str, object]:
    return {
        "name": built.name,
        "version": built.version,
        "cpks": [
            {
                "file": str(cpk.file.path),
                "size": cpk.file.size,
                "checksum": cpk.file.digest,
                "name": cpk.symbolic_name,
                "world": cpk.descriptor.world,
                "codeDigest": cpk.descriptor.code_digest,
                "sourceDigest": cpk.descriptor.source_digest,
                "runtime": cpk.descriptor.runtime,
                "flows": [flow["name"] for flow in cpk.descriptor.flows],
                "contracts": [contract["name"] for contract in cpk.descriptor.contracts],
                "capabilities": list(cpk.descriptor.capabilities),
            }
            for cpk in built.cpks
        ],
        "cpb": {
            "file": str(built.cpb.path),
            "size": built.cpb.size,
            "checksum": built.cpb.digest,
        },
        "warnings": list(built.warnings),
    }


def _verdict_json(file: Path, verdict: "RebuildVerdict") -> dict[str, object]:
    return {
        "verified": verdict.verified,
        "file": str(file),
        "type": str(verdict.type),
        "checksum": verdict.checksum,
        "runtimes": dict(verdict.runtimes),
        "differences": [asdict(difference) for difference in verdict.differences],
    }
