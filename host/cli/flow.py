"""`cordbox flow`: start flows, follow them, look into what they did, and replay them."""

import json
import sys
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

import click

from host.cli.dead_letters import command as dead_letter
from host.cli.flow_replay import debug, replay
from host.cli.flow_show import export, show
from host.cli.host_options import Connect, host_options
from host.cli.lines import fixed_width, heading, painted, some, tell_json, tell_json_line
from host.cli.package_options import output_option
from host.cli.pretty import PrettyGroup
from host.cli.values import COUNT, Moment, Seconds
from host.cli.watching import watchable

if TYPE_CHECKING:
    from host.tools.flows.client import FlowPlace, HostFlows

_COMPLETED = "COMPLETED"
_BODY_BYTES_MAX = 4 * 1024 * 1024


@click.group("flow", cls=PrettyGroup)
def command() -> None:
    """Start flows, follow them, look into what they did, and replay them.

    NODE is a virtual node's short hash or X.500 name; REQUEST is the client request id, or the
    session id of a responder. Exit codes: 0 completed, 1 refused, failed or killed, 2 wrong usage,
    75 still running or try again later.
    """


for _command in (show, export, replay, debug, dead_letter):
    command.add_command(_command)


@command.command("start")
@click.argument("node")
@click.argument("flow_class", metavar="FLOW")
@click.argument("body", required=False)
@click.option("--file", "-f", "file", type=click.File("rb"), help="File of the body; - is stdin.")
@click.option("--request-id", help="Client request id; by default a new one.")
@click.option("--wait", "waits", is_flag=True, help="Wait for the end and print the result.")
@click.option(
    "--timeout", type=Seconds(), default=60.0, show_default=True, help="Seconds that --wait waits."
)
@host_options
@output_option
@click.pass_context
def start(
    ctx: click.Context,
    *,
    connect: Connect,
    node: str,
    flow_class: str,
    body: str | None,
    file: IO[bytes] | None,
    request_id: str | None,
    waits: bool,
    timeout: float,
    output: str,
) -> None:
    """Start FLOW on NODE with the JSON value BODY; - reads BODY from standard input."""
    from host.tools.flows.client import HostFlows

    value = _body(body, file)
    with connect() as client:
        flows = HostFlows(client)
        place = _place(flows, node, request_id or f"cli-{uuid.uuid4()}")
        answer = flows.start(place, flow_class, value)
        if waits:
            _tell_result(ctx, flows.wait(place, timeout), output)
        else:
            _tell(answer, output, _status_line)


@command.command("list")
@click.argument("node")
@click.option("--status", help="Only flows in this status, such as RUNNING.")
@click.option("--responders", is_flag=True, help="Also flows that counterparties initiated.")
@click.option("--since", type=Moment(), help="Only flows started then or later; 30m: ago.")
@click.option(
    "--limit",
    type=COUNT,
    default=100,
    show_default=True,
    help="Flows to list at most.",
)
@watchable
@host_options
@output_option
def list_flows(
    *,
    connect: Connect,
    node: str,
    status: str | None,
    responders: bool,
    since: datetime | None,
    limit: int,
    output: str,
) -> None:
    """List the flows of NODE, the latest start first."""
    from host.tools.flows.client import HostFlows

    with connect() as client:
        flows = HostFlows(client)
        all_flows = flows.list(flows.node(node), status=status, responders=responders, since=since)
        found = some(all_flows, limit, "flows")
    if output == "json":
        tell_json(found)
        return
    click.echo(heading(f"{'STATUS':15}  {'SINCE':27}  REQUEST"))
    for flow in found:
        click.echo(_status_line(flow))


@command.command("result")
@click.argument("node")
@click.argument("request")
@host_options
@output_option
@click.pass_context
def result(ctx: click.Context, *, connect: Connect, node: str, request: str, output: str) -> None:
    """Print the result of a flow; exit code 75 while it runs."""
    from host.tools.flows.client import HostFlows

    with connect() as client:
        flows = HostFlows(client)
        _tell_result(ctx, flows.result(_place(flows, node, request)), output)


@command.command("wait")
@click.argument("node")
@click.argument("request")
@click.option(
    "--timeout", type=Seconds(), default=60.0, show_default=True, help="Seconds to wait at most."
)
@host_options
@output_option
@click.pass_context
def wait(
    ctx: click.Context, *, connect: Connect, node: str, request: str, timeout: float, output: str
) -> None:
    """Wait until a flow has ended, and print its result."""
    from host.tools.flows.client import HostFlows

    with connect() as client:
        flows = HostFlows(client)
        _tell_result(ctx, flows.wait(_place(flows, node, request), timeout), output)


@command.command("kill")
@click.argument("node")
@click.argument("request")
@click.option("--reason", help="Becomes the message of the flow's error.")
@host_options
@output_option
def kill(*, connect: Connect, node: str, request: str, reason: str | None, output: str) -> None:
    """End a flow in status KILLED; its open sessions fail at their peers.

    Prints the status before: the flow ends at its next step.
    """
    from host.tools.flows.client import HostFlows

    with connect() as client:
        flows = HostFlows(client)
        _tell(flows.kill(_place(flows, node, request), reason), output, _status_line)


def _place(flows: "HostFlows", node: str, request_id: str) -> "FlowPlace":
    from host.tools.flows.client import FlowPlace

    return FlowPlace(node=flows.node(node), request_id=request_id)


def _body(text: str | None, file: IO[bytes] | None) -> Any:
    """The JSON value of BODY or --file.

    Raises:
        click.UsageError: both are given, or the text is not JSON.
    """
    if text is not None and file is not None:
        raise click.UsageError("Give the body as argument or with --file, not both.")
    if text == "-":
        text = _read(sys.stdin.buffer)
    elif file is not None:
        text = _read(file)
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"the body is no JSON: {error}") from error


def _read(stream: IO[bytes]) -> str:
    data = stream.read(_BODY_BYTES_MAX + 1)
    if len(data) > _BODY_BYTES_MAX:
        raise click.UsageError(f"the body is larger than {_BODY_BYTES_MAX} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise click.UsageError(f"the body is not UTF-8: {error}") from error


def _tell(answer: Mapping[str, Any], output: str, line: Callable[[Mapping[str, Any]], str]) -> None:
    if output == "json":
        tell_json(answer)
    else:
        click.echo(line(answer))


def _tell_result(ctx: click.Context, answer: Mapping[str, Any], output: str) -> None:
    """Print a result or the flow's error; the exit code shows which."""
    from host.cli import EXIT_REFUSED, EXIT_TRY_AGAIN
    from host.tools.flows.client import FINAL

    status = answer.get("flowStatus")
    if output == "json":
        tell_json(answer)
    elif status == _COMPLETED:
        value = answer.get("json")
        _tell_value(value)
    else:
        click.echo(_status_line(answer), err=True)
    if status != _COMPLETED:
        ctx.exit(EXIT_REFUSED if status in FINAL else EXIT_TRY_AGAIN)


def _tell_value(value: object) -> None:
    """Print a result: text as it is, but escaped on a terminal; another value as JSON."""
    from host.domain.printable import printable_lines

    if isinstance(value, str):
        click.echo(printable_lines(value) if sys.stdout.isatty() else value)
    else:
        tell_json_line(value)


def _status_line(flow: Mapping[str, Any]) -> str:
    from host.domain.printable import printable

    error = flow.get("flowError")
    reason = f"  [{error.get('code')}] {error.get('message')}" if isinstance(error, dict) else ""
    words = (
        f"{flow.get('flowStatus')!s:15}",
        fixed_width(str(flow.get("timestamp"))),
        f"{flow.get('clientRequestId')}{reason}",
    )
    return "  ".join(painted(printable(word)) for word in words)
