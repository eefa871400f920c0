"""Nodes that leave: exported, taken back, or known to be elsewhere."""

from pathlib import Path

from sqlalchemy import Connection

from host.adapters.files.container import Sealer
from host.domain.errors import ConflictError, NotFoundError
from host.domain.ids import ShortHash
from host.domain.vnode import AsyncStatus
from host.network.location.claims import Answer, ClaimInvalidError
from host.network.location.export import FILE_NAME
from host.network.location.machine import Happened, LocationConflictError
from host.network.location.parts import MoveParts
from host.network.location.runs import TransferRuns
from host.network.location.signing import NodeCannotLeaveError, signing_key
from host.network.location.staying import take_back
from host.network.location.transfers import EXPORT
from host.network.values.member import SignedMember
from host.ports.locations import Place

CANCELLED = "the export was cancelled"


class LeavingNodes:
    """Thread-safe."""

    def __init__(self, parts: MoveParts, runs: TransferRuns) -> None:
        self._parts = parts
        self._runs = runs

    def export(self, short_hash: ShortHash, *, recipient: str, identity: str | None = None) -> str:
        """Pause a node, and begin to write its file; returns the request's id.

        From now on the node does nothing here until the export is cancelled.

        Args:
            short_hash: the node.
            recipient: public key of age that opens the file.
            identity: base64 of its private key, encrypted with a passphrase, for the file's header.

        Raises:
            NotFoundError: no such node.
            NodeCannotLeaveError: it is of a static network, or has no key.
            LocationConflictError: it is not here.
            OperationInProgressError: an operation on it has not ended.
            ContainerKeyError: `recipient` is none.
        """
        parts = self._parts
        Sealer.to_recipient(recipient, identity)
        node = self._parts.node(short_hash)
        if not parts.claims.is_dynamic(short_hash):
            raise NodeCannotLeaveError(
                f"virtual node {short_hash} is of a static network, whose members are on one host:"
                f" export its whole group, {node.holding.group_id}, with `--group`"
            )
        signing_key(parts.keys, node.holding)
        listed = parts.claims.listed(short_hash)
        request_id, leave = parts.new_id(), parts.nodes.leaving(short_hash)

        def begin(connection: Connection) -> None:
            leave(connection)
            parts.transfers.add_export(
                connection, request_id, short_hash, recipient=recipient, identity=identity
            )

        parts.places.change(
            short_hash,
            Happened.EXPORT,
            transfer=request_id,
            epoch=0 if listed is None else listed.epoch,
            also=begin,
        )
        self._runs.begin(request_id)
        return request_id

    def file(self, request_id: str) -> Path:
        """The file of an export that has ended.

        Raises:
            NotFoundError: there is no such export, or its file is gone.
            ConflictError: it has not ended.
        """
        found = self._parts.transfers.get(request_id)
        path = self._parts.folder / request_id / FILE_NAME
        if found.kind != EXPORT or (found.status is AsyncStatus.SUCCEEDED and not path.exists()):
            raise NotFoundError(
                f"Transfer {request_id} has no file here.", kind="transfer", named=request_id
            )
        if found.status is not AsyncStatus.SUCCEEDED:
            raise ConflictError(f"export {request_id} has not ended: {found.status}")
        return path

    def cancel(
        self, short_hash: ShortHash, *, is_forced: bool = False, token: str | None = None
    ) -> Place:
        """Take an exported node back, if its file was not imported anywhere.

        If its file was never whole, it is here at once. Else, in a dynamic network, its MGM
        decides; the place is `RECLAIMING` until it has. Called again meanwhile, it asks again. An
        MGM, which has none above it, comes back by force alone.

        Args:
            short_hash: the node.
            is_forced: the operator says that no copy of the file is used: for MGMs.
            token: a pre-auth token for the MGM.

        Raises:
            LocationConflictError: the node was not exported.
            ClaimInvalidError: nobody can decide, and `is_forced` is not set.
        """
        parts = self._parts
        refuse_static(parts, short_hash)
        if take_back(parts, [short_hash], CANCELLED):
            return Place.HERE
        if not parts.claims.has_judge(short_hash):
            return self._force_back(short_hash, is_forced=is_forced)
        location = parts.places.location(short_hash)
        if location is not None and location.place is Place.RECLAIMING and location.location_id:
            # The claim was not sent, or was declined for a reason that may be gone.
            location_id, epoch = location.location_id, location.epoch
        else:
            location_id = self._parts.new_id()
            epoch = 1 + (0 if location is None else location.epoch)
            parts.places.change(short_hash, Happened.CANCEL, epoch=epoch, location_id=location_id)
        parts.claims.send(short_hash, epoch=epoch, location_id=location_id, urls=(), token=token)
        return Place.RECLAIMING

    def _force_back(self, short_hash: ShortHash, *, is_forced: bool) -> Place:
        parts, location = self._parts, self._parts.places.location(short_hash)
        if location is not None and parts.claims.answer(short_hash, location)[0] is Answer.TAKEN:
            raise LocationConflictError(
                f"the list of members shows that virtual node {short_hash} works elsewhere"
            )
        if not is_forced:
            raise ClaimInvalidError(
                "nobody can say whether a copy of the node is used elsewhere: it has no MGM above"
                " it. If none is, force it"
            )
        place = parts.places.change(short_hash, Happened.FORCED)
        parts.let_work(short_hash)
        return place

    def moved(self, short_hash: ShortHash, proof: SignedMember) -> Place:
        """Learn from its MGM's signature that an exported node works elsewhere.

        Raises:
            ClaimInvalidError: the proof does not say so.
            LocationConflictError: the node was not exported.
        """
        location = self._parts.places.location(short_hash)
        found = self._parts.claims.proved(short_hash, proof)
        is_own = location is not None and found.location_id == location.location_id
        is_later = location is not None and found.epoch >= location.epoch + (
            location.place is Place.EXPORTED
        )
        if is_own or not is_later:
            raise ClaimInvalidError(
                f"the proof shows epoch {found.epoch}, which is not a later place"
            )
        return gone(self._parts, short_hash)


def refuse_static(parts: MoveParts, short_hash: ShortHash) -> None:
    """Refuse what is done with whole static groups alone.

    Raises:
        NotFoundError: no such node.
        ClaimInvalidError: it is of one.
    """
    node = parts.node(short_hash)
    if not parts.claims.is_dynamic(short_hash):
        raise ClaimInvalidError(
            f"virtual node {short_hash} is of a static network: name its whole group,"
            f" {node.holding.group_id}, with `--group`"
        )


def gone(parts: MoveParts, short_hash: ShortHash) -> Place:
    """Note that a node works elsewhere, and erase what it left: its row stays as a tombstone."""
    place = parts.places.change(short_hash, Happened.TAKEN)
    erase_left(parts, short_hash)
    return place


def erase_left(parts: MoveParts, short_hash: ShortHash) -> None:
    """Erase what a node that has moved left, and note that it is done; may be repeated."""
    node = parts.node(short_hash)
    for content in reversed(parts.erased):
        content.erase(node.holding)
    parts.delete_files(short_hash)
    parts.places.note_over(short_hash)
