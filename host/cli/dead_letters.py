"""`cordbox flow dead-letter`: records that the flow engine could not process."""

from datetime import datetime
from typing import TypedDict
from urllib.parse import quote

import click

from host.cli.host_options import Connect, host_options
from host.cli.lines import fixed_width, newer, tell, tell_json, tell_table
from host.cli.package_options import output_option
from host.cli.pretty import PrettyGroup
from host.cli.values import Moment
from host.cli.watching import watchable


class _Letter(TypedDict):
    id: str
    key: str
    kind: str
    valueBytes: int
    givenUpTimestamp: str
    holdingIdentityShortHash: str | None
    isDiscarded: bool


class _Letters(TypedDict):
    deadLetters: list[_Letter]


class _Facts(TypedDict):
    letter: _Letter
    flowId: str | None
    isRetryable: bool
    whyFinal: str


class _Content(TypedDict):
    content: str
    isCut: bool


@click.group("dead-letter", cls=PrettyGroup)
def command() -> None:
    """Look into records that could not be processed, and retry or discard them.

    LETTER is an id as `list` shows it; it changes when the record is discarded or restored.
    """


@command.command("list")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="At most so many."
)
@click.option("--since", type=Moment(), help="Only those given up then or later; 30m: ago.")
@click.option("--discarded", is_flag=True, help="Those that were discarded in the last 7 days.")
@watchable
@host_options
@output_option
def list_letters(
    *, connect: Connect, limit: int, since: datetime | None, discarded: bool, output: str
) -> None:
    """List the latest records that the flow engine could not process, newest first.

    A record is named by what it was for: a flow's id, a session's id, or the request id and node
    of a start. The log of the worker that gave it up tells why.
    """
    from host.tools.client.answers import shaped

    query = {"discarded": "true"} if discarded else {}
    with connect() as client:
        answer = client.get("/deadletter", limit=limit, **query)
    listed = shaped(answer, _Letters, "/deadletter")["deadLetters"]
    letters = list(newer(listed, "givenUpTimestamp", since))
    if output == "json":
        tell_json(letters)
        return
    if not letters:
        click.echo("no dead letters", err=True)
        return
    rows = [
        (
            fixed_width(letter["givenUpTimestamp"]),
            letter["kind"],
            f"{letter['valueBytes']:,} bytes",
            letter["holdingIdentityShortHash"] or "-",
            letter["id"],
            letter["key"],
        )
        for letter in letters
    ]
    tell_table(("given up", "record", "size", "node", "id", "key"), rows)


@command.command("show")
@click.argument("letter")
@click.option(
    "--content", "with_content", is_flag=True, help="Also what it holds, which is logged."
)
@host_options
@output_option
def show(*, connect: Connect, letter: str, with_content: bool, output: str) -> None:
    """Show LETTER: what it was for, and whether it can be retried."""
    from host.tools.client.answers import shaped

    path = _path(letter)
    with connect() as client:
        facts = shaped(client.get(path), _Facts, path)
        content = None
        if with_content:
            content = shaped(client.post(f"{path}/content"), _Content, f"{path}/content")
    if output == "json":
        tell_json(facts if content is None else {**facts, "content": content["content"]})
        return
    found = facts["letter"]
    tell(("record:   ", found["kind"], f"{found['valueBytes']:,} bytes"))
    tell(("key:      ", found["key"]))
    tell(("node:     ", found["holdingIdentityShortHash"] or "-"))
    tell(("flow:     ", facts["flowId"] or "-"))
    tell(("given up: ", found["givenUpTimestamp"]))
    tell(("retry:    ", "possible" if facts["isRetryable"] else f"no, {facts['whyFinal']}"))
    if content is not None:
        tell(("content:  ", content["content"] + (" …" if content["isCut"] else "")))


@command.command("retry")
@click.argument("letter")
@host_options
@output_option
def retry(*, connect: Connect, letter: str, output: str) -> None:
    """Put LETTER at the end of its queue; refused when its flow has ended."""
    _move(connect, letter, "retry", "retried", output)


@command.command("discard")
@click.argument("letter")
@host_options
@output_option
def discard(*, connect: Connect, letter: str, output: str) -> None:
    """Discard LETTER; it is kept for 7 days."""
    _move(connect, letter, "discard", "discarded", output)


@command.command("restore")
@click.argument("letter")
@host_options
@output_option
def restore(*, connect: Connect, letter: str, output: str) -> None:
    """Take a discarded LETTER back among the dead letters."""
    _move(connect, letter, "restore", "restored", output)


def _move(connect: Connect, letter: str, act: str, done: str, output: str) -> None:
    with connect() as client:
        client.send("POST", f"{_path(letter)}/{act}")
    if output == "json":
        tell_json({"id": letter, "outcome": done})
    else:
        tell((done, letter))


def _path(letter: str) -> str:
    return f"/deadletter/{quote(letter, safe='')}"
