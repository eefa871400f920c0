"""`cordbox audit admin`: who did what to a host."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import click

from host.cli.audit_keys import audit_key_of
from host.cli.host_options import host_options
from host.cli.lines import json_text, tell_json
from host.cli.offline_settings import database_upkeep, settings_option
from host.cli.package_options import EXISTING_FILE, output_option
from host.cli.values import COUNT, Moment

if TYPE_CHECKING:
    from host.nodes.audit_log.administrative import ActQuery, AdministrativeRegister
    from host.nodes.audit_log.administrative.verification import AdministrativeVerification
    from host.tools.client.host_client import HostClient

_EXIT_FINDINGS = 1
_ANCHOR = re.compile(r"([0-9]{1,15}):([0-9a-f]{64})")
_PAGE = 500
_LAST_DEFAULT = 100

Acts = Iterator[Mapping[str, Any]]


class _Act(TypedDict):
    timestamp: str
    sequence: int
    user: str
    address: str
    source: str
    method: str
    path: str
    status: int | None
    code: str | None
    count: int
    requestId: str
    parameters: dict[str, Any]


"""The parts of an act that are shown."""


@click.command("admin")
@click.argument(
    "place",
    metavar="[DIR]",
    required=False,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
)
@click.option("--by", metavar="LOGIN", help="Only acts of this user.")
@click.option("--since", type=Moment(), help="Only acts that began then or later.")
@click.option("--until", type=Moment(), help="Only acts that began before.")
@click.option("--resource", help="Only acts whose path holds this text.")
@click.option(
    "--last",
    type=COUNT,
    default=_LAST_DEFAULT,
    show_default=True,
    help="So many acts, the newest.",
)
@click.option("--verify", is_flag=True, help="Verify the chain instead, of DIR or a cluster.")
@click.option(
    "--key",
    "key_file",
    type=EXISTING_FILE,
    help="With --verify: the host's key; default: secrets/audit-key of DIR, or the cluster's.",
)
@click.option(
    "--anchor",
    metavar="SEQ:HASH",
    help="With --verify: an entry, printed by an earlier run, that must be there.",
)
@settings_option
@output_option
@host_options
def admin(
    *,
    place: Path | None,
    by: str | None,
    since: datetime | None,
    until: datetime | None,
    resource: str | None,
    last: int,
    verify: bool,
    key_file: Path | None,
    anchor: str | None,
    settings_file: Path | None,
    output: str,
    connect: "Callable[[], HostClient]",
) -> int:
    """Tell who changed what on a host: acts over REST and by commands, newest first.

    Asks a running host, as a user who may GET administrativelog; or reads the data directory DIR,
    whether or not a host runs on it. JSON: one object a line. --verify without DIR reads the
    database that the settings of a host name. Exit code of --verify: 0: every entry is as the host
    wrote it; 1: the first bad one is named.
    """
    if verify:
        with _opened(place, key_file, settings_file) as (register, key):
            return _verify(register, key, anchor, output)
    if settings_file is not None:
        raise click.UsageError("--settings belongs to --verify")
    if key_file is not None or anchor is not None:
        raise click.UsageError("--key and --anchor belong to --verify")
    with ExitStack() as stack:
        if place is None:
            client = stack.enter_context(connect())
            names = {"user": by, "since": _text(since), "until": _text(until), "resource": resource}
            query = {name: value for name, value in names.items() if value is not None}
            acts: Acts = client.items("/administrativelog", "acts", limit=min(last, _PAGE), **query)
        else:
            acts = _offline(stack, place, _query(by, since, until, resource))
        for act in islice(acts, last):
            click.echo(json_text(act) if output == "json" else _line(_shaped(act)))
    return 0


def _offline(stack: ExitStack, place: Path, query: "ActQuery") -> Acts:
    from host.runtime.wiring.administrative_reading import act_json, register_of

    register = stack.enter_context(register_of(place))
    before: int | None = None
    while views := register.page(query, before=before, limit=_PAGE):
        yield from map(act_json, views)
        before = views[-1].seq


def _query(
    by: str | None, since: datetime | None, until: datetime | None, resource: str | None
) -> "ActQuery":
    from host.domain.ids import EpochMs
    from host.nodes.audit_log.administrative import ActQuery

    def millis(moment: datetime | None) -> EpochMs | None:
        return None if moment is None else EpochMs(int(moment.timestamp() * 1000))

    return ActQuery(user=by, since=millis(since), until=millis(until), resource=resource)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


@contextmanager
def _opened(
    place: Path | None, key_file: Path | None, settings_file: Path | None
) -> Iterator[tuple["AdministrativeRegister", bytes | None]]:
    """The log of a data directory or of a cluster, and its key."""
    from host.nodes.audit_log.service import KEY_NAME
    from host.runtime.wiring.administrative_reading import register_of, shared_register

    if place is not None and settings_file is not None:
        raise click.UsageError("--verify takes the host's data directory or --settings, not both")
    if place is not None:
        own = place / "secrets" / KEY_NAME
        key = _key(key_file or (own if own.is_file() else None))
        with register_of(place) as register:
            yield register, key
        return
    upkeep = database_upkeep(settings_file)
    if upkeep is None:
        raise click.UsageError(
            "--verify takes the host's data directory, or settings that name a database"
        )
    with shared_register(upkeep) as (register, key):
        yield register, _key(key_file) or key


def _key(file: Path | None) -> bytes | None:
    return None if file is None else audit_key_of(file)


def _verify(
    register: "AdministrativeRegister", key: bytes | None, anchor: str | None, output: str
) -> int:
    from host.nodes.audit_log.administrative.verification import verify_administrative_log

    match = None if anchor is None else _ANCHOR.fullmatch(anchor)
    if anchor is not None and match is None:
        raise click.UsageError("--anchor is SEQ:HASH")
    wanted = None if match is None else (int(match[1]), match[2])
    found = verify_administrative_log(register, key=key, anchor=wanted)
    if output == "json":
        tell_json(_document(found))
    else:
        click.echo(_verdict(found))
        if key is None:
            click.echo("warning: without the host's key, who wrote the entries is not known")
    return 0 if found.problem is None else _EXIT_FINDINGS


def _document(found: "AdministrativeVerification") -> Mapping[str, Any]:
    problem = found.problem
    return {
        "good": problem is None,
        "entries": found.entries,
        "pruned": found.pruned,
        "unfinished": list(found.unfinished),
        "authenticated": found.authenticated,
        "anchor": None if found.last is None else f"{found.last[0]}:{found.last[1]}",
        "problem": None
        if problem is None
        else {"entry": problem.seq, "code": problem.code, "message": problem.message},
    }


def _verdict(found: "AdministrativeVerification") -> str:
    problem = found.problem
    if problem is not None:
        return f"BAD   entry {problem.seq}: [{problem.code}] {problem.message}"
    pruned = f", {found.pruned} deleted" if found.pruned else ""
    open_ = f", {len(found.unfinished)} acts without outcome" if found.unfinished else ""
    end = "no entry" if found.last is None else f"{found.last[0]}:{found.last[1]}"
    return f"good  {found.entries} entries{pruned}{open_}, ends {end}"


def _shaped(act: Mapping[str, Any]) -> "_Act":
    from host.tools.client.answers import shaped

    return shaped(act, _Act, "/administrativelog")


def _line(act: "_Act") -> str:
    from host.domain.printable import printable

    status = "unfinished" if act["status"] is None else f"{act['status']} {act['code']}"
    times = f"  refused {act['count']} times" if act["count"] > 1 else ""
    values = f"  {json.dumps(act['parameters'])}" if act["parameters"] else ""
    who = f"{act['user'] or '-'}@{act['address'] or act['source']}"
    return printable(
        f"{act['timestamp']}  {act['sequence']:>6}  {who}  {act['method']} {act['path']}"
        f"  {status}{times}  {act['requestId']}{values}"
    )
