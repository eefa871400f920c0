"""`cordbox network dynamic`: makes a virtual node the MGM or a member of a dynamic network."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from host.cli.host_options import HASH_IS_H, Connect, host_options
from host.cli.lines import json_text
from host.cli.package_options import (
    EXISTING_FILE,
    OUTPUT_FILE,
    code_signer_option,
    output_option,
)
from host.cli.pretty import PrettyGroup
from host.cli.progress import no_progress
from host.cli.values import Seconds

if TYPE_CHECKING:
    from host.tools.client.host_client import HostClient
    from host.tools.network.authority import Issue
    from host.tools.network.onboarding import Onboarding

_GATEWAY = "https://localhost:8080"
_SUBJECT = "CN=CordaOperator, OU=Cordbox, O=Org, L=London, C=GB"
_OWN = Path.home() / ".cordbox" / "network"

_name_argument = click.argument("name", metavar="X500")
_gateway_option = click.option(
    "--p2p-gateway-url",
    "-g",
    "gateways",
    multiple=True,
    default=(_GATEWAY,),
    show_default=True,
    help="URL at which the cluster's gateway is reached; repeatable.",
)
_subject_option = click.option(
    "--tls-certificate-subject",
    "-c",
    "subject",
    default=_SUBJECT,
    show_default=True,
    help="Subject of the cluster's TLS certificate.",
)
_mutual_option = click.option(
    "--mutual-tls", "-m", "is_mutual", is_flag=True, help="Gateways show certificates, too."
)
_folder_option = click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=_OWN,
    show_default="~/.cordbox/network",
    help="Where the development authority and the signing key are kept.",
)
_ca_option = click.option(
    "--ca-command",
    help="Command that reads a certificate signing request and writes a chain, both in PEM;"
    " default: a development authority in --dir.",
)


@click.group("dynamic", cls=PrettyGroup)
def dynamic() -> None:
    """Make virtual nodes the MGM or members of a dynamic network.

    Each command does the documented steps that are not done yet, so that it can be run again.
    """


@dynamic.command("onboard-mgm", context_settings=HASH_IS_H)
@_name_argument
@click.option("--cpi-hash", "-h", help="Checksum of an MGM's CPI; default: one is made.")
@_gateway_option
@_subject_option
@_mutual_option
@click.option(
    "--save-group-policy-as",
    "-s",
    "policy_file",
    type=OUTPUT_FILE,
    default=Path("GroupPolicy.json"),
    show_default=True,
    help="File for the group policy that CPIs of members need; replaced if it exists.",
)
@_ca_option
@click.option("--tls-root", type=EXISTING_FILE, help="PEM root of --ca-command's certificates.")
@_folder_option
@host_options
@output_option
def onboard_mgm(
    *,
    connect: Connect,
    name: str,
    cpi_hash: str | None,
    gateways: tuple[str, ...],
    subject: str,
    is_mutual: bool,
    policy_file: Path,
    ca_command: str | None,
    tls_root: Path | None,
    folder: Path,
    output: str,
) -> None:
    """Make a virtual node named X500 the MGM of a new network."""
    from cpi.package.files import read_limited
    from host.tools.network.authority import DevelopmentAuthority
    from host.tools.network.onboarding import NetworkTerms

    if bool(ca_command) is not bool(tls_root):
        raise click.UsageError("--ca-command and --tls-root belong together")
    with connect() as client:
        onboarding = _onboarding(client, gateways, subject, _issue(ca_command, folder), output)
        onboarding.prepare_cluster(is_mutual=is_mutual)
        checksum = cpi_hash or _mgm_cpi(client, folder)
        node = onboarding.node(checksum, name)
        if tls_root is None:
            root = DevelopmentAuthority(folder / "authority").root
        else:
            root = read_limited(tls_root).decode(errors="replace")
        onboarding.mgm(node, NetworkTerms(tls_roots=(root,), is_mutual=is_mutual))
        policy_file.write_text(onboarding.group_policy(node), encoding="utf-8")
    facts = {"holdingIdentityShortHash": node, "groupPolicyFile": str(policy_file)}
    _tell(
        output, facts, f"MGM {node} is registered; the group policy of members is in {policy_file}"
    )


@dynamic.command("onboard-member", context_settings=HASH_IS_H)
@_name_argument
@click.option("--cpi-hash", "-h", help="Checksum of the member's CPI, which is on the host.")
@click.option(
    "--cpb-file", "-b", "cpb", type=EXISTING_FILE, help="Signed CPB from which a CPI is made."
)
@code_signer_option
@click.option(
    "--group-policy-file",
    "-gp",
    "policy_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("GroupPolicy.json"),
    show_default=True,
    help="The MGM's group policy, for --cpb-file.",
)
@click.option("--role", "-r", "roles", multiple=True, help="Role of the member, such as notary.")
@click.option(
    "--set", "-s", "entries", multiple=True, metavar="KEY=VALUE", help="Entry of the registration."
)
@click.option("--pre-auth-token", "-a", "token", help="Pre-auth token of the MGM.")
@click.option("--wait", "-w", "waits", is_flag=True, help="Wait until the member is approved.")
@click.option(
    "--timeout", type=Seconds(), default=120.0, show_default=True, help="Seconds that --wait waits."
)
@_gateway_option
@_subject_option
@_mutual_option
@_ca_option
@_folder_option
@host_options
@output_option
def onboard_member(
    *,
    connect: Connect,
    name: str,
    cpi_hash: str | None,
    cpb: Path | None,
    code_signers: tuple[Path, ...],
    policy_file: Path,
    roles: tuple[str, ...],
    entries: tuple[str, ...],
    token: str | None,
    waits: bool,
    timeout: float,
    gateways: tuple[str, ...],
    subject: str,
    is_mutual: bool,
    ca_command: str | None,
    folder: Path,
    output: str,
) -> None:
    """Make a virtual node named X500 a member of a network.

    Its CPI is on the host (--cpi-hash), or is made of a CPB and the MGM's group policy and signed
    with a key of its own (--cpb-file).
    """
    from host.tools.network.onboarding import needs_session_certificates
    from host.tools.network.operations import trust_files, until_approved

    if bool(cpi_hash) is bool(cpb):
        raise click.UsageError("give --cpi-hash or --cpb-file")
    extra = dict(_entry(text) for text in entries)
    if token is not None:
        extra["corda.auth.token"] = token
    with connect() as client:
        onboarding = _onboarding(client, gateways, subject, _issue(ca_command, folder), output)
        onboarding.prepare_cluster(is_mutual=is_mutual)
        trust_files(client, code_signers)
        checksum = cpi_hash or _member_cpi(client, cpb or Path(), policy_file, folder)
        node = onboarding.node(checksum, name)
        request = onboarding.member(
            node,
            roles=roles,
            extra=extra,
            has_certificate=needs_session_certificates(client, checksum),
        )
        if request is not None and waits:
            until_approved(client, node, request, seconds=timeout)
    is_member = request is None or waits
    ending = "a member" if is_member else f"not a member yet: registration {request} is submitted"
    facts = {"holdingIdentityShortHash": node, "registrationId": request, "isMember": is_member}
    _tell(output, facts, f"{name} is {node} and {ending}")


def _tell(output: str, facts: Mapping[str, object], text: str) -> None:
    click.echo(json_text(facts) if output == "json" else text)


def _onboarding(
    client: "HostClient",
    gateways: tuple[str, ...],
    subject: str,
    issue: "Issue",
    output: str,
) -> "Onboarding":
    from host.tools.network.onboarding import Onboarding

    tell = no_progress if output == "json" else click.echo
    return Onboarding(client=client, gateways=gateways, issue=issue, subject=subject, tell=tell)


def _issue(ca_command: str | None, folder: Path) -> "Issue":
    from host.tools.network.authority import DevelopmentAuthority, issue_by_command

    if ca_command is not None:
        return issue_by_command(ca_command)
    # Made when a certificate is needed, not before a host has answered.
    return lambda csr: DevelopmentAuthority(folder / "authority").issue(csr)


def _mgm_cpi(client: "HostClient", folder: Path) -> str:
    from cpi.package.group_policy_generation import generate_mgm_policy

    return _uploaded(client, folder, "MGM", None, generate_mgm_policy())


def _member_cpi(client: "HostClient", cpb: Path, policy_file: Path, folder: Path) -> str:
    from cpi.package.files import read_limited

    data, policy = read_limited(cpb), read_limited(policy_file).decode(errors="replace")
    # CPIs of several CPBs and networks are told apart by their names.
    of = hashlib.sha256(data + policy.encode()).hexdigest()[:12]
    return _uploaded(client, folder, f"{cpb.stem}-{of}", (cpb.name, data), policy)


def _uploaded(
    client: "HostClient",
    folder: Path,
    name: str,
    cpb: tuple[str, bytes] | None,
    policy: str,
) -> str:
    from cpi.package.build import build_cpi
    from host.cli.progress import show_progress
    from host.tools.network.operations import trust, upload_missing
    from host.tools.network.own_files import signing_key

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = signing_key(folder)
    data = build_cpi(name=name, version="1.0.0", cpb=cpb, group_policy=policy, keys=[key])
    trust(client, key, alias="cordbox-onboarding")
    return upload_missing(client, data, f"{name}.cpi", progress=show_progress)


def _entry(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise click.UsageError(f"--set {text[:64]!r}: expected KEY=VALUE")
    return key, value
