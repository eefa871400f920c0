"""Moves of whole static groups between running hosts; each step may be repeated."""

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from host.domain.errors import ConflictError, NotFoundError
from host.domain.ids import parse_short_hash
from host.tools.client.answers import shaped
from host.tools.client.host_client import HostClient
from host.tools.network import moving
from host.tools.network.answer_shapes import GroupExport, GroupLocation
from host.tools.network.moving import Report

NOTE = "export.json"
"""In the folder of a group's files: the requests of the export that they are of."""
_SUFFIX = ".cbxnode"


class GroupFilesError(ConflictError):
    """The files in a folder are not those of one export of a group."""

    code = "group-files-invalid"


def location(client: HostClient, group: str) -> GroupLocation:
    """Where the nodes of a static group are, by a host."""
    path = _path(group, "location")
    return shaped(client.get(path), GroupLocation, path)


def export(
    client: HostClient,
    group: str,
    folder: Path,
    *,
    recipient: str,
    identity: str | None,
    report: Report,
) -> GroupExport:
    """Have a host write the files of a group's nodes, and fetch them into a folder.

    Raises:
        GroupFilesError: the folder has files already.
        OSError: it cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise GroupFilesError(f"{folder} is not empty: give a new folder for the files of a group")
    path = _path(group, "export")
    body = {"recipient": recipient, **({} if identity is None else {"identity": identity})}
    found = shaped(client.post(path, dict(body)), GroupExport, path)
    (folder / NOTE).write_text(json.dumps(found))
    fetch(client, found, folder, report)
    return found


def fetch(client: HostClient, found: GroupExport, folder: Path, report: Report) -> None:
    """Write the files of an export into a folder; those that are there in part are continued."""
    for each in found["exports"]:
        request = each["requestId"]
        size = moving.until_ended(client, request, report)["bytesTotal"]
        moving.fetch(client, request, _file(folder, each["holdingIdentityShortHash"]), size, report)


def load(client: HostClient, folder: Path, identity: str | None, report: Report) -> list[str]:
    """Have a host load the files in a folder; gives the short hashes of the nodes.

    Args:
        client: of the host.
        folder: with files of nodes.
        identity: what opens the files, if the host's own key does not.
        report: told of stages.

    Raises:
        GroupFilesError: the folder has no files.
    """
    return [_load(client, file, identity, report) for file in files_of(folder)]


def files_of(folder: Path) -> list[Path]:
    """The files of a group's nodes in a folder.

    Raises:
        GroupFilesError: there are none.
    """
    files = sorted(folder.glob(f"*{_SUFFIX}"))
    if not files:
        raise GroupFilesError(f"{folder} has no files of nodes (*{_SUFFIX})")
    return files


def _load(client: HostClient, file: Path, identity: str | None, report: Report) -> str:
    request = moving.send(client, file, identity, report)
    return str(moving.until_ended(client, request, report)["holdingIdentityShortHash"])


def cancel(client: HostClient, group: str, *, is_unfenced: bool) -> GroupLocation:
    """Take an exported group back."""
    path = _path(group, "export/cancel")
    return shaped(client.post(path, {"unfenced": is_unfenced}), GroupLocation, path)


def activate(
    client: HostClient, group: str, *, is_unfenced: bool, is_uniqueness_current: bool
) -> GroupLocation:
    """Let an imported group work; see `GroupActivateRequest` of the REST API."""
    path = _path(group, "activate")
    body = {"unfenced": is_unfenced, "uniquenessCurrent": is_uniqueness_current}
    return shaped(client.post(path, dict(body)), GroupLocation, path)


def move(
    source: HostClient, target: HostClient, group: str, folder: Path, report: Report
) -> GroupLocation:
    """Move a static group with its flows; returns where its nodes are at the target.

    The source keeps tombstones before the target lets the nodes work: so they never work twice, and
    what a notary of the group has signed is in its file.

    Args:
        source: the group's host.
        target: its new host.
        group: its id.
        folder: kept until the group works at its target.
        report: told of stages.

    Raises:
        HostError: a step was refused; run it again when its cause is gone.
        OSError: the folder cannot be written or read.
    """
    before = {each["holdingIdentityShortHash"] for each in location(source, group)["nodes"]}
    arrived = _arrived(target, group)
    if before != {n for n, place in arrived.items() if place in {"IMPORTED", "HERE"}}:
        _carry(source, target, group, folder, report=report)
    if set(_arrived(target, group).values()) != {"HERE"}:
        found = location(target, group)
        if (taken := found["exportId"]) is None:
            raise GroupFilesError(
                "the nodes at the new host are of different exports: delete their imports there"
            )
        recipient = moving.transfer_key(target)
        source.post(_path(group, "moved"), {"exportId": taken, "recipient": recipient})
        activate(target, group, is_unfenced=True, is_uniqueness_current=True)
    for file in folder.glob("*") if folder.exists() else ():
        file.unlink()
    if folder.exists():
        folder.rmdir()
    return location(target, group)


def _carry(
    source: HostClient,
    target: HostClient,
    group: str,
    folder: Path,
    *,
    report: Report,
) -> None:
    arrived = _arrived(target, group)
    places = {each["place"] for each in location(source, group)["nodes"]}
    if places == {"HERE"}:
        for file in folder.glob("*") if folder.exists() else ():
            file.unlink()  # of an export that was cancelled
        export(
            source,
            group,
            folder,
            recipient=moving.transfer_key(target),
            identity=None,
            report=report,
        )
    found = _noted(folder)
    fetch(source, found, folder, report)
    for each in found["exports"]:
        node = each["holdingIdentityShortHash"]
        if arrived.get(node) not in {"IMPORTED", "HERE"}:
            _load(target, _file(folder, node), None, report)


def _arrived(client: HostClient, group: str) -> Mapping[str, str]:
    try:
        nodes = location(client, group)["nodes"]
    except NotFoundError:
        return {}
    return {each["holdingIdentityShortHash"]: each["place"] for each in nodes}


def _noted(folder: Path) -> GroupExport:
    note = folder / NOTE
    if not note.is_file():
        raise GroupFilesError(
            f"the group was exported, and {folder} is not the folder of that export: give that"
            " folder, or take the group back with `cordbox vnode cancel-export --group`"
        )
    return shaped(json.loads(note.read_text()), GroupExport, str(note))


def _file(folder: Path, node: str) -> Path:
    return folder / f"{parse_short_hash(node)}{_SUFFIX}"


def _path(group: str, act: str) -> str:
    return f"/maintenance/group/{quote(group, safe='')}/{act}"
