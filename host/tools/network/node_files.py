"""Files of nodes on their way between a host and this machine: fetched, and sent, in parts.

Whatever is interrupted goes on where it was: a note beside a file names the request that it is of.
A file without a note is somebody's: it is never written to, nor deleted.
"""

import json
import os
import time
from contextlib import suppress
from pathlib import Path

from host.domain.errors import ConflictError, NotFoundError, UnavailableError
from host.tools.client.answers import shaped
from host.tools.client.host_client import HostClient
from host.tools.network import moving
from host.tools.network.answer_shapes import ImportedSize, Requested, TransferStatus
from host.tools.network.moving import POLL_SECONDS, Report

PART_BYTES = 8 * 1024 * 1024
_IMPORT = "/maintenance/import"
_TRIES = 3


class FileTakenError(ConflictError):
    """A file is there already, and is not of this export of a virtual node."""

    code = "node-file-taken"


class ExportedElsewhereError(ConflictError):
    """The virtual node was exported already, to another key."""

    code = "node-exported-to-another-key"


def exported(
    client: HostClient,
    node: str,
    file: Path,
    *,
    recipient: str,
    identity: str | None = None,
    report: Report,
) -> tuple[str, int]:
    """Have a host write the file of a node, and fetch it; goes on after an interruption.

    Args:
        client: of the node's host.
        node: short hash.
        file: where it is written; the note beside it stays until `forget` is called.
        recipient: public key that opens it.
        identity: its private key, sealed, for the file's header.
        report: told of stages.

    Returns:
        The request's id, and the file's size.

    Raises:
        FileTakenError: `file` is there, and nothing says of which export it is.
        ExportedElsewhereError: the node was exported for another key.
        HostError: the host refuses it.
        OSError: the file cannot be written.
    """
    note, found = _note(file), moving.location(client, node)
    noted = note.read_text().strip() if note.is_file() else None
    if noted is None and file.exists():
        raise FileTakenError(f"{file} is there: it is not written over, give a new file")
    request = found["requestId"] if found["place"] == "EXPORTED" else None
    if noted is not None and noted != request:
        forget(file, with_file=True)  # of an export that was cancelled
        noted = None
    if request is not None and (noted is None or identity is None):
        check_recipient(client, request, recipient, node)
    if request is None:
        request = moving.begin_export(client, node, recipient, identity)
    note.write_text(request)
    size = moving.until_ended(client, request, report)["bytesTotal"]
    fetch(client, request, file, size, report)
    return request, size


def check_recipient(client: HostClient, request: str, recipient: str, node: str) -> None:
    """Refuse the file of an export that another key opens.

    Raises:
        ExportedElsewhereError: another key does.
    """
    if moving.transfer(client, request)["recipient"] != recipient:
        raise ExportedElsewhereError(
            f"virtual node {node} was exported before, for another key: give that one and its"
            " file, or take the node back with `cordbox vnode cancel-export`"
        )


def forget(file: Path, *, with_file: bool = False) -> None:
    """Delete what is noted of a file, and the file itself if so asked."""
    for each in (_note(file), _import_note(file), *((file,) if with_file else ())):
        each.unlink(missing_ok=True)


def is_noted(file: Path) -> bool:
    """Whether a file is one of an export that `exported` fetched."""
    return _note(file).is_file()


def fetch(client: HostClient, request: str, file: Path, size: int, report: Report) -> None:
    """Write the file of an export; one that is there in part is continued.

    Raises:
        OSError: it cannot be written.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    with os.fdopen(os.open(file, flags, 0o600), "r+b") as stream:
        stream.seek(0, os.SEEK_END)
        while stream.tell() < size:
            offset = stream.tell()
            path = f"/maintenance/transfer/{request}/file"
            data = client.ask("GET", path, params={"offset": offset})
            if not data:
                raise UnavailableError(f"the file of {request} ends after {offset} bytes")
            stream.write(data)
            report("fetch", stream.tell(), size)
        stream.flush()
        os.fsync(stream.fileno())


def loaded(client: HostClient, file: Path, identity: str | None, report: Report) -> tuple[str, str]:
    """Have a host load the file of a node; goes on after an interruption.

    Returns:
        The request's id, and the node's short hash.

    Raises:
        TransferFailedError: the host cannot load it.
        OSError: the file cannot be read.
    """
    request = send(client, file, identity, report)
    try:
        found = moving.until_ended(client, request, report)
    except moving.TransferFailedError:
        _import_note(file).unlink(missing_ok=True)
        raise
    _import_note(file).unlink(missing_ok=True)
    return request, str(found["holdingIdentityShortHash"])


def send(client: HostClient, file: Path, identity: str | None, report: Report) -> str:
    """Send the file of a node to a host, and have it read; returns the request's id.

    Raises:
        OSError: the file cannot be read.
    """
    state = file.stat()
    mark = [state.st_size, state.st_mtime_ns]
    request, is_waiting = _begun_import(client, file, mark)
    if not is_waiting:
        return request
    with file.open("rb") as stream:
        stream.seek(_send_part(client, request, 0, b""))
        while data := stream.read(PART_BYTES):
            there = _send_part(client, request, stream.tell() - len(data), data)
            report("send", there, state.st_size)
    start = {} if identity is None else {"identity": identity}
    client.post(f"{_IMPORT}/{request}/start", dict(start))
    return request


def _begun_import(client: HostClient, file: Path, mark: list[int]) -> tuple[str, bool]:
    """The request of a file's import, and whether it waits for the file."""
    note = _import_note(file)
    with suppress(OSError, ValueError, TypeError, NotFoundError):
        url, request, *noted = json.loads(note.read_text())
        if (url, noted) == (client.url, mark):
            found = moving.transfer(client, request)
            if _is_of_import(found):
                return found["requestId"], found["stage"] == "waiting"
    request = shaped(client.post(_IMPORT), Requested, _IMPORT)["requestId"]
    with suppress(OSError):  # an import from a folder that cannot be written is sent whole again
        note.write_text(json.dumps([client.url, request, *mark]))
    return request, True


def _is_of_import(found: TransferStatus) -> bool:
    return found["kind"] == "import" and found["status"] in {"ACCEPTED", "IN_PROGRESS"}


def _send_part(client: HostClient, request: str, offset: int, data: bytes) -> int:
    """Send a part; returns how many bytes of the file are there."""
    path = f"{_IMPORT}/{request}/part"
    for left in reversed(range(_TRIES)):
        try:
            answer = client.upload("PUT", path, {"part": ("part", data)}, {"offset": str(offset)})
        except UnavailableError:
            if not left:
                raise
            time.sleep(POLL_SECONDS)
            continue
        return shaped(answer, ImportedSize, path)["size"]
    raise AssertionError  # the last try returns or raises


def delete_import(client: HostClient, node: str) -> None:
    """Delete an imported node that does not work at a host."""
    client.send("DELETE", f"/maintenance/virtualnode/{node}/import")


def _note(file: Path) -> Path:
    return file.with_name(f"{file.name}.request")


def _import_note(file: Path) -> Path:
    return file.with_name(f"{file.name}.import")
