"""Nodes that arrive: their files are received, loaded, and the nodes let work here."""

from host.domain.errors import ConflictError, NotFoundError
from host.domain.ids import ShortHash
from host.domain.vnode import AsyncStatus
from host.network.location.claims import Answer, ClaimInvalidError
from host.network.location.export import FILE_NAME
from host.network.location.leaving import refuse_static
from host.network.location.machine import LocationConflictError
from host.network.location.parts import MoveParts
from host.network.location.places import Location
from host.network.location.room import check_room
from host.network.location.runs import TransferRuns
from host.network.location.staying import erase_arrived
from host.network.location.transfers import IMPORT, IS_WAITING, WAITING
from host.network.location.uploads import PartialFile
from host.ports.locations import Place


class ArrivingNodes:
    """Thread-safe."""

    def __init__(self, parts: MoveParts, runs: TransferRuns) -> None:
        self._parts = parts
        self._runs = runs

    def begin_import(self) -> str:
        """Make room for a file; returns the request's id. Parts follow, then `start`.

        Raises:
            ImportsWaitingError: as many imports as possible wait for their files.
        """
        parts = self._parts
        for forgotten in parts.transfers.end_forgotten():
            parts.delete_file(forgotten)
        request_id = parts.new_id()
        parts.database.transact(
            lambda connection: parts.transfers.add_import(connection, request_id)
        )
        (parts.folder / request_id).mkdir(mode=0o700, parents=True, exist_ok=True)
        return request_id

    def add_part(self, request_id: str, offset: int, data: bytes) -> int:
        """Append a part of a file; returns the file's size then. A part may be repeated.

        Raises:
            NotFoundError: no such import waits for parts.
            PartMisplacedError: the file has another size; the error names it.
            DiskFullError: there is no room.
        """
        parts, file = self._parts, self._awaited(request_id)
        check_room(parts.folder, len(data))
        size = file.add(offset, data)
        parts.transfers.note_received(request_id, size)
        return size

    def start(self, request_id: str, *, identity: str | None = None) -> None:
        """Begin to read a file that has come whole.

        Args:
            request_id: of the import.
            identity: the private key of age that opens it; by default this cluster's.

        Raises:
            NotFoundError: no such import waits.
        """
        self._awaited(request_id)
        sealed = None if identity is None else self._runs.sealed(request_id, identity)
        if not self._parts.transfers.start(request_id, stage="read", identity=sealed):
            raise _not_waiting(request_id)
        self._runs.begin(request_id)

    def delete_import(self, request_id: str) -> None:
        """Delete the file of an import that was not started, or of one that failed.

        Raises:
            NotFoundError: there is no such import.
            ConflictError: it is being loaded, or was: then the node is to be deleted.
        """
        parts, found = self._parts, self._parts.transfers.get(request_id)
        if found.kind != IMPORT:
            raise NotFoundError(
                f"Transfer {request_id} is no import.", kind="transfer", named=request_id
            )
        ended = parts.transfers.end([request_id], "its file was deleted", IS_WAITING)
        if not parts.database.transact(ended):
            status = parts.transfers.get(request_id).status
            if status not in {AsyncStatus.FAILED, AsyncStatus.ABORTED}:
                raise ConflictError(
                    f"import {request_id} is {status}: the virtual node of its file can be deleted"
                    " once it was loaded"
                )
        parts.delete_file(request_id)

    def activate(
        self,
        short_hash: ShortHash,
        *,
        urls: tuple[str, ...] = (),
        tls_alias: str | None = None,
        token: str | None = None,
    ) -> Place:
        """Let an imported node of a dynamic network work here, once its MGM says so.

        Args:
            short_hash: the node.
            urls: the endpoints of this cluster's gateway.
            tls_alias: of this cluster's TLS certificate.
            token: a pre-auth token, without which the MGM's operators approve the move.

        Raises:
            LocationConflictError: it was not imported, or another copy was granted the place.
            ClaimInvalidError: the endpoints or certificate are missing, or cannot be used.
        """
        parts = self._parts
        self._parts.node(short_hash)
        location = parts.places.location(short_hash)
        if location is None or location.place is not Place.IMPORTED:
            # Also of a node that is being taken back here: its MGM alone lets it work again.
            where = Place.HERE if location is None else location.place
            raise LocationConflictError(
                f"an imported virtual node alone is activated: {short_hash} is {where}"
            )
        refuse_static(parts, short_hash)
        if not urls or tls_alias is None:
            raise ClaimInvalidError(
                "the network has an MGM: give the endpoints of this cluster's gateway, and the"
                " alias of its TLS certificate"
            )
        answer, reason = parts.claims.answer(short_hash, location)
        if answer is Answer.TAKEN:
            raise LocationConflictError(f"{reason}: delete this one's import")
        if answer is Answer.GRANTED:
            return Place.IMPORTED  # the process ended before it saw the answer
        parts.claims.set_up(short_hash, tls_alias)
        # Of the file, never of a newer list: else a file could be used again after it has lost.
        epoch = location.epoch + (location.location_id is None)
        location_id = location.location_id or self._parts.new_id()
        parts.places.note_claim(short_hash, epoch=epoch, location_id=location_id)
        parts.claims.send(short_hash, epoch=epoch, location_id=location_id, urls=urls, token=token)
        return Place.IMPORTED

    def give_up(self, short_hash: ShortHash) -> None:
        """Delete an imported node that has not begun to work here.

        Raises:
            NotFoundError: no such node.
            LocationConflictError: it was not imported, is being loaded, or its MGM may let it work
                here yet: then it would be nowhere.
        """
        parts, location = self._parts, self._parts.places.location(short_hash)
        if location is None:
            parts.node(short_hash)
        if location is None or location.place not in {Place.IMPORTING, Place.IMPORTED}:
            raise LocationConflictError(
                f"virtual node {short_hash} is {Place.HERE if location is None else location.place}"
                " on this cluster: only one that was imported, and does not work yet, is deleted"
            )
        self._check_undecided(short_hash, location)
        erase_arrived(parts, short_hash)
        parts.delete_files(short_hash)
        parts.places.forget(short_hash)

    def _check_undecided(self, short_hash: ShortHash, location: Location) -> None:
        parts = self._parts
        if location.place is Place.IMPORTING:
            if not parts.transfers.get(location.transfer).is_over:
                raise LocationConflictError(
                    f"virtual node {short_hash} is being loaded: wait until import"
                    f" {location.transfer} has ended"
                )
            return
        if not parts.claims.is_dynamic(short_hash) or location.location_id is None:
            return
        answer, reason = parts.claims.answer(short_hash, location)
        if answer is Answer.GRANTED or (answer is Answer.NONE and reason is None):
            raise LocationConflictError(
                f"virtual node {short_hash} has asked its MGM to work here, which may still grant"
                " it: have the move declined there, or the export cancelled at its source"
            )

    def _awaited(self, request_id: str) -> PartialFile:
        found = self._parts.transfers.get(request_id)
        if (found.kind, found.stage, found.status) != (IMPORT, WAITING, AsyncStatus.ACCEPTED):
            raise _not_waiting(request_id)
        folder = self._parts.folder / request_id
        if not folder.is_dir():
            raise NotFoundError(
                f"Import {request_id} was begun at another host of the cluster, which has its"
                " file: go on there.",
                kind="transfer",
                named=request_id,
            )
        return PartialFile(folder / FILE_NAME)


def _not_waiting(request_id: str) -> NotFoundError:
    return NotFoundError(
        f"No import {request_id} waits for a file.", kind="transfer", named=request_id
    )
