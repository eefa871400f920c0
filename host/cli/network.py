"""`cordbox network`: group policies, and dynamic networks of running hosts.

Also reachable as `cordbox mgm`, as corda-cli has it.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from host.cli.lines import tell_json
from host.cli.network_dynamic import dynamic
from host.cli.network_members import get_registrations, lookup, operate, peers, ping
from host.cli.network_up import down, status, up
from host.cli.network_upgrade import upgrade_cpi
from host.cli.package_options import EXISTING_FILE, OUTPUT_FILE, output_option
from host.cli.pretty import PrettyGroup
from host.domain.printable import printable

if TYPE_CHECKING:
    from cpi.package.group_policy import StaticMember

_FILE_BYTES_MAX = 1024 * 1024


@click.group("network", cls=PrettyGroup)
def command() -> None:
    """Write group policies, set up networks, and look after their members."""


@command.command("groupPolicy")
@click.option("--name", "names", multiple=True, help="X.500 name of a member; repeatable.")
@click.option("--endpoint", help="URL of all members, such as https://localhost:8080.")
@click.option("--endpoint-protocol", type=click.IntRange(1, 9999), help="P2P protocol version.")
@click.option(
    "--file",
    "-f",
    "file",
    type=EXISTING_FILE,
    help="JSON or YAML file with the static network, instead of --name.",
)
@click.option("--group-id", type=click.UUID, help="The group's UUID; default: a new one.")
@click.option("--mgm", is_flag=True, help="The policy of a network manager instead.")
@click.option(
    "--output-file", "-o", type=OUTPUT_FILE, help="File to write; must be new. Default stdout."
)
def group_policy(
    *,
    names: tuple[str, ...],
    endpoint: str | None,
    endpoint_protocol: int | None,
    file: Path | None,
    group_id: Any,
    mgm: bool,
    output_file: Path | None,
) -> None:
    """Write the GroupPolicy.json of a static network.

    Without members, endpoint and file it is Corda's sample network: Alice and Bob, and Charlie who
    is suspended.
    """
    from cpi.package.files import write_new
    from cpi.package.group_policy_generation import (
        generate_mgm_policy,
        generate_static_policy,
        generate_static_policy_of,
    )

    if mgm:
        if names or endpoint or endpoint_protocol or file or group_id:
            raise click.UsageError("--mgm takes no members, endpoint or group id")
        text = generate_mgm_policy()
    elif file is not None:
        _refuse_beside_file(names, endpoint, endpoint_protocol)
        text = generate_static_policy_of(_read_members(file), group_id=group_id)
    elif not names and endpoint is None and endpoint_protocol is None:
        text = generate_static_policy_of(_sample_members(), group_id=group_id)
    else:
        if not names:
            raise click.UsageError("No member name specified: use --name or --file.")
        if endpoint is None:
            raise click.UsageError("Endpoint must be specified using '--endpoint'.")
        if endpoint_protocol is None:
            raise click.UsageError(
                "Endpoint protocol must be specified using '--endpoint-protocol'."
            )
        text = generate_static_policy(
            names=names,
            group_id=group_id,
            endpoint_url=endpoint,
            endpoint_protocol=endpoint_protocol,
        )
    if output_file is None:
        click.echo(text, nl=False)
    else:
        write_new(output_file, text.encode())


@command.command("validate")
@click.argument("file", type=EXISTING_FILE)
@output_option
@click.pass_context
def validate(ctx: click.Context, *, file: Path, output: str) -> None:
    """Check a GroupPolicy.json by Corda's schema and its parser's rules: exit code 0 or 1.

    Every problem is listed at once with its JSON path.
    """
    from cpi.errors import GroupPolicyError, Issue
    from cpi.package.files import read_limited
    from cpi.package.group_policy import parse_group_policy

    issues: tuple[Issue, ...] = ()
    try:
        policy = parse_group_policy(read_limited(file, _FILE_BYTES_MAX))
        report = {
            "valid": True,
            "kind": policy.kind.value,
            "groupId": policy.group_id,
            "members": [member.name for member in policy.static_members],
        }
    except GroupPolicyError as refused:
        report, issues = {"valid": False}, refused.issues
    if output == "json":
        errors = [{"code": i.code, "message": i.message, "entry": i.entry} for i in issues]
        tell_json({**report, "errors": errors})
    elif issues:
        for issue in issues:
            click.echo(printable(f"error[{issue.code}]: {file}: {issue.message}"), err=True)
    else:
        click.echo(f"{file}: valid {report['kind']} group policy, group {report['groupId']}")
    ctx.exit(1 if issues else 0)


def _sample_members() -> "list[StaticMember]":
    from cpi.package.group_policy import Endpoint, StaticMember

    return [
        StaticMember(
            name=f"O={name}, L=London, C=GB",
            status=status,
            endpoints=(
                Endpoint(url=f"https://{name.lower()}.example.com:10000", protocol_version=1),
            ),
        )
        for name, status in (("Alice", "ACTIVE"), ("Bob", "ACTIVE"), ("Charlie", "SUSPENDED"))
    ]


def _refuse_beside_file(
    names: tuple[str, ...], endpoint: str | None, endpoint_protocol: int | None
) -> None:
    for given, what in (
        (endpoint, "Endpoint"),
        (endpoint_protocol, "Endpoint protocol"),
        (names, "Member name(s)"),
    ):
        if given:
            raise click.UsageError(f"{what} may not be specified when '--file' is set.")


def _read_members(file: Path) -> "list[StaticMember]":
    """The members of corda-cli's static network file, in JSON or YAML.

    Raises:
        click.UsageError: the file is not such a document.
    """
    document = _read_document(file)
    if not isinstance(document, dict):
        raise click.UsageError(f"{file}: expected an object with members")
    names, members = document.get("memberNames"), document.get("members")
    if names is not None and members is not None:
        raise click.UsageError("Only one of 'memberNames' and 'members' blocks may be specified.")
    if names is not None:
        members = [{"name": name} for name in _list(names, file)]
    rows = [row if isinstance(row, dict) else {} for row in _list(members, file)]
    if not rows:
        raise click.UsageError(f"{file}: No member name specified.")
    return [_member(row, document) for row in rows]


def _read_document(file: Path) -> Any:
    from cpi.package.files import read_limited
    from cpi.strict_json import JsonRefusedError, parse_json
    from host.cli.strict_yaml import YamlRefusedError, parse_yaml

    parsers = {".json": parse_json, ".yaml": parse_yaml, ".yml": parse_yaml}
    parse = parsers.get(file.suffix.lower())
    if parse is None:
        raise click.UsageError(
            f"{file}: Input file format not supported, expected .json, .yaml or .yml"
        )
    try:
        return parse(read_limited(file, _FILE_BYTES_MAX), bytes_max=_FILE_BYTES_MAX)
    except (JsonRefusedError, YamlRefusedError) as error:
        raise click.UsageError(
            f"Could not read static network information from {file}: {error}"
        ) from error


def _list(value: Any, file: Path) -> list[Any]:
    if not isinstance(value, list):
        raise click.UsageError(f"{file}: expected a list 'memberNames' or 'members'")
    return value


def _member(row: dict[str, Any], defaults: dict[str, Any]) -> "StaticMember":
    from cpi.package.group_policy import Endpoint, StaticMember

    url = row.get("endpoint", defaults.get("endpoint"))
    protocol = row.get("endpointProtocol", defaults.get("endpointProtocol"))
    name = row.get("name")
    if not isinstance(name, str):
        raise click.UsageError("No member name specified.")
    if not isinstance(url, str):
        raise click.UsageError(f"{name}: No endpoint specified.")
    try:
        version = int(json.dumps(protocol).strip('"'))
    except ValueError:
        raise click.UsageError(f"{name}: No endpoint protocol specified.") from None
    return StaticMember(
        name=name,
        status=str(row.get("status", "ACTIVE")),
        endpoints=(Endpoint(url=url, protocol_version=version),),
    )


for _command in (
    up,
    down,
    status,
    dynamic,
    lookup,
    get_registrations,
    operate,
    peers,
    ping,
    upgrade_cpi,
):
    command.add_command(_command)
