"""How `package verify` and `package inspect` show a package: for people, and as JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from cpi.archive.sources import Source, sha256_of
from cpi.errors import Issue, PackageRefusedError
from cpi.package.model import PackageId, Signer, VerifiedCpk, VerifiedPackage
from host.cli.lines import tell_json

_WIDTH = 2000
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def show_accepted(package: Path, result: VerifiedPackage, output: str) -> None:
    """Report a package that was accepted."""
    if output == "json":
        _print_json(_verdict(result))
        return
    for warning in result.warnings:
        click.echo(f"warning[{warning.code}]: {_line(warning)}", err=True)
    click.echo(f"{package}: {_acceptance(result)}")
    for signer in result.signers:
        click.echo(f"  signed by {signer.subject} ({signer.key}, {_validity(signer)})")


def _acceptance(result: VerifiedPackage) -> str:
    if result.id is not None:
        return f"valid {result.type} {result.id.name} {result.id.version}"
    what = "a JAR that is no Corda package" if result.type is None else f"a {result.type}"
    return f"valid signatures of {what}; nothing else was checked"


def show_written(
    package: Path, size: int, result: VerifiedPackage, output: str, *, warned: Sequence[Issue]
) -> None:
    """Report a package that was written; `warned` are the warnings before it was signed."""
    shown = {(issue.code, issue.entry) for issue in warned}
    further = tuple(i for i in result.warnings if (i.code, i.entry) not in shown)
    if output == "json":
        result = replace(result, warnings=(*warned, *further))
        _print_json(
            {"file": str(package), "size": size, "id": _identity(result.id), **_verdict(result)}
        )
        return
    for warning in further:
        click.echo(f"warning[{warning.code}]: {_line(warning)}", err=True)
    name = f" {result.id.name} {result.id.version}" if result.id else ""
    signed = ", ".join(signer.subject for signer in result.signers)
    click.echo(f"{package}: {result.type}{name}, {size} bytes, signed by {signed}")


def show_refused(package: Path, source: Source, refused: PackageRefusedError, output: str) -> None:
    """Report a package that was refused, with every reason."""
    if output == "json":
        _print_json(
            {
                "valid": False,
                "type": None,
                "errors": [_issue(i) for i in refused.issues],
                "warnings": [],
                "signers": [],
                "cpkSignerSummaryHash": None,
                "cpiSignerSummaryHash": None,
                "fileChecksum": sha256_of(source),
            }
        )
        return
    for issue in refused.issues:
        click.echo(f"error[{issue.code}]: {package}: {_line(issue)}", err=True)


def show_content(package: Path, size: int, result: VerifiedPackage, output: str) -> None:
    """Report what a package holds."""
    document = {
        "file": package.name,
        "size": size,
        **_verdict(result),
        "trust": "not judged",
        "id": _identity(result.id),
        "cpks": [_cpk(cpk) for cpk in result.cpks],
        "groupPolicy": _policy(result.group_policy),
    }
    if output == "json":
        _print_json(document)
    else:
        _print_tree(document, result)


def _verdict(result: VerifiedPackage) -> dict[str, Any]:
    return {
        "valid": True,
        "type": result.type.value if result.type else None,
        "signatureOnly": result.id is None,
        "errors": [],
        "warnings": [_issue(i) for i in result.warnings],
        "signers": [_signer(s) for s in result.signers],
        "cpkSignerSummaryHash": result.cpk_signer_summary_hash,
        "cpiSignerSummaryHash": result.cpi_signer_summary_hash,
        "fileChecksum": result.file_checksum,
    }


def _issue(issue: Issue) -> dict[str, str | None]:
    return {"code": issue.code.value, "message": issue.message, "entry": issue.entry}


def _line(issue: Issue) -> str:
    known = issue.entry is None or issue.entry in issue.message
    return issue.message if known else f"{issue.entry}: {issue.message}"


def _validity(signer: Signer) -> str:
    """Until when the certificate holds; with a timestamp the signature holds beyond that."""
    until = f"until {signer.not_after.strftime(_TIME)}"
    if signer.timestamp is None:
        return until
    return f"{until}, timestamp of {signer.timestamp.strftime(_TIME)}"


def _signer(signer: Signer) -> dict[str, str | None]:
    return {
        "subject": signer.subject,
        "issuer": signer.issuer,
        "key": signer.key,
        "algorithm": signer.algorithm,
        "notBefore": signer.not_before.strftime(_TIME),
        "notAfter": signer.not_after.strftime(_TIME),
        "timestamp": signer.timestamp.strftime(_TIME) if signer.timestamp else None,
    }


def _identity(identity: PackageId | None) -> dict[str, str] | None:
    if identity is None:
        return None
    return {
        "name": identity.name,
        "version": identity.version,
        "signerSummaryHash": identity.signer_summary_hash,
    }


def _cpk(cpk: VerifiedCpk) -> dict[str, Any]:
    descriptor = cpk.descriptor
    return {
        "id": _identity(cpk.id),
        "file": cpk.file_name,
        "fileChecksum": cpk.file_checksum,
        "kind": cpk.world_type,
        "minPlatformVersion": cpk.min_platform_version,
        "signers": [signer.subject for signer in cpk.signers],
        "dependencies": [str(dependency) for dependency in cpk.dependencies],
        "libraries": list(cpk.libraries),
        "entries": {name: cpk.entries.size(name) for name in cpk.entries},
        "code": descriptor
        and {
            "world": descriptor.world,
            "worldVersion": descriptor.world_version,
            "form": descriptor.form,
            "runtime": descriptor.runtime,
            "sourceDigest": descriptor.source_digest,
            "codeDigest": descriptor.code_digest,
            "flows": list(descriptor.flows),
            "contracts": list(descriptor.contracts),
            "states": list(descriptor.states),
            "commands": list(descriptor.commands),
            "entities": list(descriptor.entities),
            "queries": list(descriptor.queries),
            "capabilities": list(descriptor.capabilities),
            "limits": dict(descriptor.limits),
            "toolchain": dict(descriptor.toolchain),
        },
    }


def _policy(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    from cpi.package.group_policy import parse_group_policy

    policy = parse_group_policy(text)
    return {
        "groupId": policy.group_id,
        "kind": policy.kind.value,
        "members": [member.name for member in policy.static_members],
    }


def _print_json(document: dict[str, Any]) -> None:
    tell_json(document)


def _print_tree(document: dict[str, Any], result: VerifiedPackage) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.tree import Tree

    identity = f" {result.id.name} {result.id.version}" if result.id else ""
    tree = Tree(f"[bold]{result.type}{escape(identity)}[/] ({document['size']} bytes)")
    tree.add(f"checksum  {result.file_checksum}")
    if result.id:
        tree.add(f"signer summary hash  {result.id.signer_summary_hash}")
    for signer in result.signers:
        tree.add(escape(f"signer  {signer.subject}  {signer.key}, {_validity(signer)}"))
    policy = document["groupPolicy"]
    if policy:
        branch = tree.add(f"group policy  {policy['kind']}, group {policy['groupId']}")
        for member in policy["members"]:
            branch.add(escape(member))
    for cpk in result.cpks:
        branch = tree.add(
            escape(f"{cpk.world_type} CPK  {cpk.id.name} {cpk.id.version}  {cpk.file_name}")
        )
        for line in _cpk_lines(cpk):
            branch.add(escape(line))
    for warning in result.warnings:
        tree.add(escape(f"warning[{warning.code}]: {_line(warning)}"))
    # Names come from the package: no markup, no emoji codes; hashes are never cut to the terminal.
    Console(emoji=False, highlight=False, width=_WIDTH).print(tree)


def _cpk_lines(cpk: VerifiedCpk) -> Iterable[str]:
    yield f"checksum  {cpk.file_checksum}"
    yield f"signer summary hash  {cpk.id.signer_summary_hash}"
    size = sum(cpk.entries.size(name) for name in cpk.entries)
    yield f"content  {len(cpk.entries)} entries, {size} bytes"
    for dependency in cpk.dependencies:
        yield f"needs  {dependency}"
    descriptor = cpk.descriptor
    if descriptor is None:
        yield "no WebAssembly code"
        return
    yield f"code  {descriptor.form}, world {descriptor.world} {descriptor.world_version}"
    for title, declarations in (
        ("flow", descriptor.flows),
        ("contract", descriptor.contracts),
        ("state", descriptor.states),
        ("entity", descriptor.entities),
    ):
        for declaration in declarations:
            yield f"{title}  {_declared(declaration)}"
    if descriptor.capabilities:
        yield f"capabilities  {', '.join(descriptor.capabilities)}"


def _declared(declaration: Mapping[str, Any]) -> str:
    """A flow with its kind and protocol, anything else by its name."""
    text = str(declaration.get("name", declaration))
    if "kind" in declaration:
        text += f"  ({declaration['kind']})"
    if declaration.get("protocol"):
        versions = ", ".join(str(version) for version in declaration.get("versions", ()))
        text += f"  protocol {declaration['protocol']} {versions}".rstrip()
    return text
