"""`cordbox audit log`: verify and show the logs of privileged host calls."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from host.cli.audit_keys import audit_key_of
from host.cli.audit_log_lines import document_of, entry_line, line_of, problem_of
from host.cli.lines import tell_json, tell_json_line
from host.cli.package_options import EXISTING_FILE, output_option
from host.cli.pretty import PrettyGroup
from host.cli.values import COUNT, POSITION

if TYPE_CHECKING:
    from host.nodes.audit_log.problems import Anchor
    from host.nodes.audit_log.verification import Verification

_EXIT_FINDINGS = 1
_ANCHOR = re.compile(r"([0-9]{1,15}):([0-9a-f]{64})")
_ID, _NODES = "cordbox-id", "vnodes"
"""A data directory's id, and its folder of virtual nodes."""
_SHORT_HASH = re.compile(r"[0-9A-Fa-f]{12}")

_place = click.argument("place", type=click.Path(path_type=Path, exists=True))
_node_option = click.option("--node", metavar="ID", help="Short hash of one virtual node.")
_key_option = click.option(
    "--key",
    "key_file",
    type=EXISTING_FILE,
    help="The host's key, to tell its entries from others; default: secrets/audit-key of the data"
    " directory.",
)
_archive_option = click.option(
    "--archive",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder that `cordbox audit log archive` moved older parts to.",
)


@click.group("log", cls=PrettyGroup)
def log() -> None:
    """Verify and show the logs of privileged host calls, one for each virtual node.

    PLACE is a host's data directory, a virtual node's folder in it, or a log file.
    """


@log.command("verify")
@click.argument(
    "places",
    metavar="PLACE...",
    type=click.Path(path_type=Path, exists=True),
    nargs=-1,
    required=True,
)
@_node_option
@_key_option
@_archive_option
@click.option(
    "--anchor", metavar="SEQ:HASH", help="An entry, printed by an earlier run, that must be there."
)
@output_option
def verify(
    *,
    places: tuple[Path, ...],
    node: str | None,
    key_file: Path | None,
    archive: Path | None,
    anchor: str | None,
    output: str,
) -> int:
    """Verify that no entry was changed, removed, added or moved.

    Exit code 0: every log is as the host wrote it; 1: the first bad entry is named, or the first
    that tells of a cut, however long the log goes on after it; 2: wrong usage.
    Without the key only the chain is checked, which tells nothing of who wrote it.

    Several places are the data directories of a cluster's hosts, each with logs and a key of its
    own. A call that two of them have logged, since one repeated what a killed one had begun, is
    counted once.
    """
    from host.nodes.audit_log.calls_of_hosts import calls_of_hosts
    from host.nodes.audit_log.verification import verify_log

    if len(places) > 1 and (key_file is not None or archive is not None):
        raise click.UsageError("--key and --archive belong to one host: give one PLACE")
    logs = [(place, *log) for place in places for log in _logs(place, node)]
    wanted = _anchor(anchor, logs)
    keys = {place: _key(place, key_file) for place in places}
    found = [
        verify_log(
            file, key=keys[place], node=name, anchor=wanted, archive=_archive_of(archive, name)
        )
        for place, name, file in logs
    ]
    shared = calls_of_hosts([(name, file) for _, name, file in logs])
    if output == "json":
        nodes = [dataclasses.asdict(each) for each in shared]
        tell_json({"logs": [document_of(one) for one in found], "nodes": nodes})
    else:
        for one in found:
            click.echo(line_of(one))
        for each in shared:
            counts = f"{each.calls} calls in {each.logs} logs, {each.repeated} in more than one"
            click.echo(f"{each.node}  {counts}")
        click.echo(_summary(found))
        if None in keys.values():
            click.echo("warning: without the host's key, who wrote the entries is not known")
    return _EXIT_FINDINGS if any(one.problem for one in found) else 0


def _summary(found: "Sequence[Verification]") -> str:
    bad = sum(one.problem is not None for one in found)
    logs = f"{len(found)} log{'' if len(found) == 1 else 's'} verified"
    return f"{logs}, {bad} of them bad" if bad else logs


@log.command("show")
@_place
@_node_option
@_archive_option
@click.option("--function", help="Only calls of this function, such as signing.sign.")
@click.option("--flow", help="Only calls of this flow's id.")
@click.option("--last", type=COUNT, help="Only so many entries, the newest.")
@output_option
def show(
    *,
    place: Path,
    node: str | None,
    archive: Path | None,
    function: str | None,
    flow: str | None,
    last: int | None,
    output: str,
) -> None:
    """Print entries, the oldest first; they are not verified. JSON: one object a line.

    Lines that are no entries of a log are counted, and refused when all others were printed.
    """
    from collections import Counter, deque
    from functools import partial

    from host.domain.printable import printable
    from host.nodes.audit_log.verification import AuditLogUnreadableError, read_entries

    shown, others = 0, Counter[str]()
    for name, file in _logs(place, node):
        note_other = partial(others.update, [str(file)])
        entries = (
            entry
            for entry in read_entries(file, _archive_of(archive, name), note_other)
            if function in (None, entry.get("function")) and flow in (None, entry.get("flow"))
        )
        for entry in entries if last is None else deque(entries, last):
            shown += 1
            if output == "json":
                tell_json_line({"node": name, **entry})
            else:
                click.echo(printable(entry_line(name, entry)))
    if not shown and not others and output == "text":
        click.echo("no entries", err=True)
    if others:
        counts = (f"{place_of}: {_lines(count)}" for place_of, count in others.items())
        raise AuditLogUnreadableError("; ".join(counts))


def _lines(count: int) -> str:
    lines = "1 line is no entry" if count == 1 else f"{count} lines are no entries"
    return f"{lines} of an audit log"


@log.command("archive")
@_place
@click.argument("to", type=click.Path(path_type=Path, file_okay=False))
@_node_option
@_key_option
@output_option
def archive_parts(
    *, place: Path, to: Path, node: str | None, key_file: Path | None, output: str
) -> None:
    """Move the older parts of logs to the folder TO, and have the logs say so.

    A host may be running. `verify` takes the folder as --archive; without it, it knows from the
    log which parts were moved, and how they end.
    """
    from host.adapters.os.system import SystemClock
    from host.nodes.audit_log.archive import archive_log

    key = _key(place, key_file)
    if key is None:
        raise click.UsageError("the host's key is needed: name it with --key")
    moved = []
    for name, file in _logs(place, node):
        target = to / (name or "log")
        for part in archive_log(file.parent, target, key=key, clock=SystemClock()):
            moved.append({"node": name, "file": str(part.path), "bytes": part.bytes})
            moved[-1] |= {"first": part.first, "last": part.last}
            if output != "json":
                click.echo(f"{name}  entries {part.first} to {part.last} are in {part.path}")
    if output == "json":
        tell_json({"moved": moved})
    elif not moved:
        click.echo("no log has older parts")


@log.command("acknowledge")
@click.argument("data_dir", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--node", metavar="ID", required=True, help="Short hash of the virtual node.")
@click.option("--entry", type=POSITION, help="The entry that tells of the cut; default: all.")
@click.option("--reason", required=True, help="What was found: 1 to 500 characters.")
@_key_option
@output_option
def acknowledge(
    *,
    data_dir: Path,
    node: str,
    entry: int | None,
    reason: str,
    key_file: Path | None,
    output: str,
) -> None:
    """Have a log say that cuts it tells of were examined; from then on `verify` is content.

    A host may be running. The entries that tell of the cuts stay, and `verify` counts them. The
    administrative log tells of it, too.
    """
    from host.adapters.os.system import SystemClock
    from host.nodes.audit_log.acknowledging import acknowledge_cuts
    from host.runtime.wiring.offline_acts import offline_act, os_user

    key = _key(data_dir, key_file)
    if key is None:
        raise click.UsageError("the host's key is needed: name it with --key")
    logs = _logs(data_dir, node)
    if not logs:
        raise click.UsageError(f"{data_dir} has no audit log of virtual node {node.upper()}")
    ((name, file),) = logs
    parameters: dict[str, str | int | None] = {"node": name, "entry": entry, "reason": reason}
    with offline_act(data_dir, "audit log acknowledge", parameters=parameters):
        found = acknowledge_cuts(
            file.parent, entry=entry, user=os_user(), reason=reason, key=key, clock=SystemClock()
        )
    if output == "json":
        tell_json_line({"node": name, "acknowledged": [problem_of(cut) for cut in found]})
    for cut in found if output != "json" else ():
        click.echo(f"{name}  entry {cut.seq}: [{cut.code}] acknowledged")


def _archive_of(archive: Path | None, node: str | None) -> Path | None:
    """The folder of one node's parts in an archive; the archive itself if there is none."""
    if archive is None or node is None or not (archive / node).is_dir():
        return archive
    return archive / node


def _logs(place: Path, node: str | None) -> Sequence[tuple[str | None, Path]]:
    """The logs at `place`, each with the short hash of its node, if the path shows it."""
    from host.nodes.audit_log.node_log import LOG_NAME, has_log

    if node is not None and not _SHORT_HASH.fullmatch(node):
        raise click.UsageError(f"--node {node[:64]!r} is no short hash of 12 hexadecimal digits")
    name = None if node is None else node.upper()
    if place.is_file():
        return [(name, place)]
    folder = place / _NODES
    if folder.is_dir():
        found = [folder / name] if name else sorted(f for f in folder.iterdir() if f.is_dir())
        if name and not found[0].is_dir():
            raise click.UsageError(f"{folder} has no virtual node {name}")
        return [(f.name, f / LOG_NAME) for f in found if has_log(f)]
    if (place / _ID).exists():
        return []  # a host of a cluster, none of whose flows has called anything yet
    if has_log(place):
        known = place.name if _SHORT_HASH.fullmatch(place.name) else None
        return [(name or known, place / LOG_NAME)]
    raise click.UsageError(f"{place} is no data directory, no virtual node's folder and no log")


def _anchor(text: str | None, logs: Sequence[object]) -> "Anchor | None":
    from host.nodes.audit_log.problems import Anchor

    if text is None:
        return None
    match = _ANCHOR.fullmatch(text)
    if match is None or len(logs) != 1:
        raise click.UsageError("--anchor is SEQ:HASH, and belongs to one log: name a node")
    return Anchor(seq=int(match[1]), hash=match[2])


def _key(place: Path, file: Path | None) -> bytes | None:
    from host.nodes.audit_log.service import KEY_NAME

    candidates = [place / "secrets", place.parent.parent / "secrets"]
    files = [file] if file else [c / KEY_NAME for c in candidates if (c / KEY_NAME).is_file()]
    return audit_key_of(files[0]) if files else None
