"""Exports and imports at work, in the background; resumed after any interruption."""

import base64
from collections.abc import Callable, Sequence
from functools import partial

import structlog
from sqlalchemy import Connection

from host.adapters.files.container import Manifest, Opener, Sealer
from host.database.claims import ClaimedWork, ClaimLostError
from host.domain.errors import ConflictError, HostError
from host.domain.ids import EpochMs, HoldingIdentity, ShortHash
from host.domain.vnode import AsyncStatus, VirtualNode
from host.network.location.export import FILE_NAME
from host.network.location.machine import Happened
from host.network.location.node_file import TOGETHER
from host.network.location.parts import MoveParts
from host.network.location.places import Location, location_of
from host.network.location.room import check_room
from host.network.location.signing import NodeCannotLeaveError
from host.network.location.staying import erase_arrived, take_back
from host.network.location.transfers import EXPORT, Transfer
from host.ports.locations import Place

_log = structlog.get_logger("cordbox.location")

QUIET_TRIES = 600
"""How often it is looked whether a paused node stands still, a tenth of a second apart."""
_QUIET_AFTER = 20
"""Looks in a row that see it still: every process has seen by then that it is paused."""
_REPORT_MS = 1000
_TENANT = "p2p"
_COPIES = 2
"""Of what a node has, in the clear and encrypted."""


class TransferRuns(ClaimedWork):
    """Thread-safe."""

    def __init__(self, parts: MoveParts) -> None:
        self._parts = parts
        self._claims = parts.transfers.claims

    def begin(self, request_id: str) -> None:
        self._claims.hold(request_id)
        self._parts.background(partial(self._run, request_id))

    def _go_on(self, keys: Sequence[str]) -> None:
        for request_id in keys:
            self.begin(request_id)

    def _run(self, request_id: str) -> None:
        transfers = self._parts.transfers
        try:
            found = transfers.get(request_id)
            (self._export if found.kind == EXPORT else self._import)(found)
        except ClaimLostError as exc:
            self._lost(request_id, exc.message)
        except HostError as exc:
            self._failed(request_id, exc.message)
        except OSError as exc:
            self._failed(request_id, f"a file cannot be written or read: {exc.strerror}")
        except Exception as exc:  # noqa: BLE001  # logged, and the transfer tells of it
            _log.exception("node-transfer-failed", request_id=request_id)
            self._failed(request_id, f"internal error: {type(exc).__name__}")
        finally:
            self._claims.let_go(request_id)

    def _failed(self, request_id: str, reason: str) -> None:
        """End a transfer that failed, and leave nothing of it: neither a file nor half a node."""
        parts = self._parts
        parts.delete_file(request_id)
        try:
            found = parts.transfers.get(request_id)
            if found.kind == EXPORT:
                parts.transfers.fail(request_id, reason)
                self._stay(ShortHash(found.short_hash), f"export {request_id} failed: {reason}")
            else:
                parts.transfers.fail(request_id, reason, self._forgetting(found))
        except ClaimLostError as exc:
            self._lost(request_id, exc.message)
        except HostError:
            _log.exception("node-transfer-unfinished", request_id=request_id, reason=reason)

    def _lost(self, request_id: str, reason: str) -> None:
        _log.warning("node-transfer-lost", request_id=request_id, reason=reason)
        if self._parts.transfers.get(request_id).status is AsyncStatus.ABORTED:
            self._parts.delete_file(request_id)

    def _stay(self, short_hash: ShortHash, reason: str) -> None:
        """Let a node work on whose file could not be written; with it its static group."""
        location = self._parts.places.location(short_hash)
        if location is not None and location.place is Place.EXPORTED:
            node = self._parts.node(short_hash)
            take_back(
                self._parts, self._leaving_with(node, self._together(short_hash, location)), reason
            )

    def _forgetting(self, found: Transfer) -> Callable[[Connection], None]:
        """Erase what a failed import has loaded; returns what forgets the node in a transaction."""
        parts, node = self._parts, ShortHash(found.short_hash)
        location = parts.places.location(node) if node else None
        if location is None or location.transfer != found.request_id:
            return lambda _connection: None
        erase_arrived(parts, node)
        return lambda connection: parts.places.forget_in(connection, node)

    def _export(self, found: Transfer) -> None:
        parts, short_hash = self._parts, ShortHash(found.short_hash)
        node = self._parts.node(short_hash)
        location = _leaving(found, parts.places.location(short_hash))
        together = self._together(short_hash, location)
        self._await_quiet(self._leaving_with(node, together))
        check_room(parts.folder.parent, _COPIES * parts.used_bytes(short_hash))
        sealer = Sealer.to_recipient(found.recipient or "", identity=found.identity)
        parts.transfers.set(found.request_id, status=AsyncStatus.IN_PROGRESS.value)
        size = parts.exporter.write(
            node.holding,
            parts.folder / found.request_id,
            export_id=found.request_id,
            at=location.at,
            epoch=location.epoch,
            sealer=sealer,
            report=self._report(found.request_id),
            together=together,
        )

        parts.transfers.set(
            found.request_id,
            lambda connection: _leaving(found, location_of(connection, short_hash)),
            status=AsyncStatus.SUCCEEDED.value,
            stage="done",
            bytes_done=size,
            bytes_total=size,
        )

    def _import(self, found: Transfer) -> None:
        parts, folder = self._parts, self._parts.folder / found.request_id
        parts.transfers.set(found.request_id, status=AsyncStatus.IN_PROGRESS.value)
        report = self._report(found.request_id)
        unpacked = parts.importer.read(
            folder / FILE_NAME,
            folder / "unpacked",
            opener=Opener(identities=self._opened(found)),
            admit=partial(self._admit, found.request_id),
            report=report,
        )
        holding = unpacked.holding
        node, location = holding.short_hash, parts.places.location(holding.short_hash)
        if location is not None:
            parts.importer.erase(holding)  # what an interrupted or failed import has left
        epoch = int(unpacked.manifest.facts["epoch"])
        parts.transfers.set(
            found.request_id,
            lambda connection: parts.places.begin_import(
                connection, node, found.request_id, epoch=epoch
            ),
            short_hash=node,
        )
        parts.importer.load(unpacked, report)
        is_static = not parts.claims.is_dynamic(node)
        together = unpacked.manifest.facts.get(TOGETHER) if is_static else None
        location_id = None if together is None else str(together)[:36]
        parts.transfers.set(
            found.request_id,
            lambda connection: parts.places.change_in(
                connection, node, Happened.LOADED, location_id=location_id
            ),
            status=AsyncStatus.SUCCEEDED.value,
            stage="done",
            identity=None,
        )
        parts.delete_file(found.request_id)

    def _admit(self, request_id: str, holding: HoldingIdentity, manifest: Manifest) -> None:
        del manifest
        location = self._parts.places.location(holding.short_hash)
        is_mine = (
            location is not None
            and location.place is Place.IMPORTING
            and (
                location.transfer == request_id
                or self._parts.transfers.get(location.transfer).is_over
            )
        )
        if not is_mine and (location or self._parts.nodes.get(holding.short_hash)):
            raise ConflictError(
                f"virtual node {holding.short_hash} ({holding.x500_name}) is on this cluster, or"
                " was"
            )

    def _together(self, short_hash: ShortHash, location: Location) -> str | None:
        """What the exports of a node's static group have in common."""
        return None if self._parts.claims.is_dynamic(short_hash) else location.location_id

    def _leaving_with(self, node: VirtualNode, together: str | None) -> Sequence[ShortHash]:
        """A node, and those of its static group: what one of them still does, others may get."""
        parts, own = self._parts, node.holding.short_hash
        if together is None:
            return [own]
        here = [each.holding.short_hash for each in parts.nodes.all()]
        found = {each: parts.places.location(each) for each in here}
        others = [
            n for n, location in found.items() if location and location.location_id == together
        ]
        return [own, *(each for each in others if each != own)]

    def _await_quiet(self, nodes: Sequence[ShortHash]) -> None:
        quiet = 0
        for _ in range(QUIET_TRIES):
            self._parts.wait()
            quiet = quiet + 1 if all(map(self._parts.is_quiet, nodes)) else 0
            if quiet == _QUIET_AFTER:
                return
        raise NodeCannotLeaveError(f"the flows of virtual node {nodes[0]} do not stand still")

    def _report(self, request_id: str) -> Callable[[str, int, int], None]:
        """Stores progress, at most once a second for each stage."""
        told: tuple[str, EpochMs] = ("", EpochMs(0))

        def report(stage: str, done: int, total: int) -> None:
            nonlocal told
            now = self._parts.clock.now_ms()
            if stage == told[0] and now - told[1] < _REPORT_MS:
                return
            told = (stage, now)
            self._parts.transfers.set(request_id, stage=stage, bytes_done=done, bytes_total=total)

        return report

    def sealed(self, request_id: str, identity: str) -> str:
        """A private key that opens a file, encrypted for the time until the file is read."""
        data = self._parts.keys.seal(_TENANT, identity.encode(), _bound(request_id))
        return base64.b64encode(data).decode()

    def _opened(self, found: Transfer) -> str:
        """The private key that opens the file of an import: by default the cluster's."""
        if found.identity is None:
            return self._parts.identity()
        sealed = base64.b64decode(found.identity)
        return self._parts.keys.open(_TENANT, sealed, _bound(found.request_id)).decode()


def _bound(request_id: str) -> str:
    return f"transfer/{request_id}"


def _leaving(found: Transfer, location: Location | None) -> Location:
    """The place of a node that stands still for an export.

    Raises:
        NodeCannotLeaveError: it does not, since the export was cancelled.
    """
    is_exported = location is not None and location.place is Place.EXPORTED
    if location is None or not is_exported or location.transfer != found.request_id:
        raise NodeCannotLeaveError(f"the export of {found.short_hash} was cancelled")
    return location
