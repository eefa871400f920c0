"""Moves of whole static groups between running hosts; each step may be repeated."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from host.domain.errors import ConflictError, NotFoundError
from host.domain.ids import parse_short_hash
from host.tools.client.answers import shaped
from host.tools.client.host_client import HostClient
from host.tools.network import moving, node_files
from host.tools.network.answer_shapes import GroupExport, GroupLocation, NodeExport
from host.tools.network.moves import check_other
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
    """Have a host write the files of a group's nodes, and fetch them; goes on where it was.

    Raises:
        GroupFilesError: the folder has other files.
        ExportedElsewhereError: the group was exported for another key.
        OSError: it cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    before, noted = _exported(location(client, group)), _noted(folder)
    if noted is None and any(folder.iterdir()):
        raise GroupFilesError(f"{folder} is not empty: give a new folder for the files of a group")
    if noted is not None and (before is None or noted["exportId"] != before["exportId"]):
        forget(folder)  # of an export that was cancelled
        noted = None
    if before is not None and (noted is None or identity is None):
        for each in before["exports"]:
            node = each["holdingIdentityShortHash"]
            node_files.check_recipient(client, each["requestId"], recipient, node)
    if before is None:
        path = _path(group, "export")
        body = {"recipient": recipient, **({} if identity is None else {"identity": identity})}
        before = shaped(client.post(path, dict(body)), GroupExport, path)
    (folder / NOTE).write_text(json.dumps(before))
    for each in before["exports"]:
        request = each["requestId"]
        size = moving.until_ended(client, request, report)["bytesTotal"]
        file = _file(folder, each["holdingIdentityShortHash"])
        node_files.fetch(client, request, file, size, report)
    return before


def _exported(found: GroupLocation) -> GroupExport | None:
    """The export of a group that has not been given away or taken back."""
    exports = [
        NodeExport(
            requestId=each["requestId"] or "",
            holdingIdentityShortHash=each["holdingIdentityShortHash"],
        )
        for each in found["nodes"]
        if each["place"] == "EXPORTED"
    ]
    if found["exportId"] is None or not exports:
        return None
    return GroupExport(exportId=found["exportId"], exports=exports)


def forget(folder: Path) -> None:
    """Delete the files of a group's export in a folder, and nothing else."""
    for each in (_noted(folder) or {"exports": []})["exports"]:
        node_files.forget(_file(folder, each["holdingIdentityShortHash"]), with_file=True)
    (folder / NOTE).unlink(missing_ok=True)


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
    return [node_files.loaded(client, file, identity, report)[1] for file in files_of(folder)]


def files_of(folder: Path) -> list[Path]:
    """The files of a group's nodes in a folder.

    Raises:
        GroupFilesError: there are none.
    """
    files = sorted(folder.glob(f"*{_SUFFIX}"))
    if not files:
        raise GroupFilesError(f"{folder} has no files of nodes (*{_SUFFIX})")
    return files


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
        folder: new or empty; the files in it are deleted once the group works at its target.
        report: told of stages.

    Raises:
        HostError: a step was refused; run it again when its cause is gone.
        OSError: the folder cannot be written or read.
    """
    check_other(source, target)
    before = {each["holdingIdentityShortHash"] for each in location(source, group)["nodes"]}
    arrived = _arrived(target, group)
    if before != {n for n, place in arrived.items() if place in {"IMPORTED", "HERE"}}:
        _carry(source, target, group, folder, report=report)
    if set(_arrived(target, group).values()) != {"HERE"}:
        found = location(target, group)
        give(source, group, found)
        activate(target, group, is_unfenced=True, is_uniqueness_current=True)
    forget(folder)
    with suppress(OSError):  # it is not there, or something else is in it
        folder.rmdir()
    return location(target, group)


def give(source: HostClient, group: str, taken: GroupLocation) -> GroupLocation:
    """Give an exported group to a host, by what that one says of it; where it is at its source.

    Raises:
        GroupFilesError: that host has not loaded the files of one export.
    """
    if taken["exportId"] is None or taken["groupId"] != group:
        raise GroupFilesError(
            f"the nodes at the new host are not of one export of group {group}: delete their"
            " imports there"
        )
    path = _path(group, "moved")
    body = {"exportId": taken["exportId"], "recipient": taken["recipient"]}
    return shaped(source.post(path, dict(body)), GroupLocation, path)


def delete_imports(client: HostClient, group: str) -> list[str]:
    """Delete the imported nodes of a group that do not work at a host; which."""
    nodes = [each["holdingIdentityShortHash"] for each in location(client, group)["nodes"]]
    for node in nodes:
        node_files.delete_import(client, node)
    return nodes


def _carry(
    source: HostClient,
    target: HostClient,
    group: str,
    folder: Path,
    *,
    report: Report,
) -> None:
    arrived, recipient = _arrived(target, group), moving.transfer_key(target)
    found = export(source, group, folder, recipient=recipient, identity=None, report=report)
    for each in found["exports"]:
        node = each["holdingIdentityShortHash"]
        if arrived.get(node) not in {"IMPORTED", "HERE"}:
            node_files.loaded(target, _file(folder, node), None, report)


def _arrived(client: HostClient, group: str) -> Mapping[str, str]:
    try:
        nodes = location(client, group)["nodes"]
    except NotFoundError:
        return {}
    return {each["holdingIdentityShortHash"]: each["place"] for each in nodes}


def _noted(folder: Path) -> GroupExport | None:
    note = folder / NOTE
    if not note.is_file():
        return None
    try:
        return shaped(json.loads(note.read_text()), GroupExport, str(note))
    except ValueError as exc:
        raise GroupFilesError(f"{note} does not say which export the files are of: {exc}") from exc


def _file(folder: Path, node: str) -> Path:
    return folder / f"{parse_short_hash(node)}{_SUFFIX}"


def _path(group: str, act: str) -> str:
    return f"/maintenance/group/{quote(group, safe='')}/{act}"
