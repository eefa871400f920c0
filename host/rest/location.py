"""Exports, imports and moves of virtual nodes. Corda has no such resource."""

import base64
import binascii
import os
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

import msgspec
from fastapi import Form, Query, Response, UploadFile

from host.domain.errors import RequestInvalidError
from host.domain.ids import ShortHash
from host.domain.vnode import AsyncStatus
from host.network.location.transfers import Transfer
from host.network.location.uploads import PART_BYTES_MAX
from host.network.values.member import SignedMember
from host.rest.operation import resource
from host.rest.parameters import NodeHash, Uuid
from host.rest.services import RestServices, Services
from host.rest.virtual_node import AsyncResponse
from host.rest.wire import instant, wire

router = resource("Virtual Node Maintenance")

_proofs = msgspec.msgpack.Decoder(SignedMember)
_proof_encoder = msgspec.msgpack.Encoder()


@wire
class ExportRequest:
    """Whom a node's file is encrypted to.

    Attributes:
        recipient: a public key of age, such as `GET /maintenance/transferkey` of the target gives.
        identity: base64 of its private key, encrypted with a passphrase, kept in the file's header.
    """

    recipient: str
    identity: str | None = None


@wire
class StartImportRequest:
    """What opens a file. `identity`: a private key of age; by default the cluster's own."""

    identity: str | None = None


@wire
class ActivateRequest:
    """Where an imported node works: what a dynamic network's MGM is told.

    Attributes:
        endpoints: URLs of this cluster's gateway.
        p2p_tls_certificate_chain_alias: of this cluster's TLS certificate.
        pre_auth_token: approves the move; without one the MGM's operators do.
    """

    endpoints: tuple[str, ...] = ()
    p2p_tls_certificate_chain_alias: str | None = None
    pre_auth_token: str | None = None


@wire
class CancelRequest:
    """Takes an exported node back. `unfenced`: nobody decides, the operator vouches for it."""

    unfenced: bool = False
    pre_auth_token: str | None = None


@wire
class MovedRequest:
    """Proves that a node works elsewhere. `proof`: of `GET .../location` at its new place."""

    proof: str


@wire
class TransferKey:
    recipient: str


@wire
class ImportedSize:
    size: int


@wire
class TransferStatus:
    """How far an export or import is.

    Attributes:
        recipient: of an export, the public key that opens its file.
    """

    request_id: str
    kind: str
    holding_identity_short_hash: str | None
    status: AsyncStatus
    stage: str
    bytes_done: int
    bytes_total: int
    last_updated_timestamp: datetime
    error_reason: str | None = None
    recipient: str | None = None


@wire
class NodeLocation:
    """Where a node is, as this cluster and its member list know it.

    Attributes:
        place: HERE, EXPORTED, RECLAIMING, MOVED, IMPORTING or IMPORTED.
        request_id: of the export or import that brought it there; null once that is over.
        epoch: that this cluster's copy claims, or was granted.
        listed_epoch: of the member list that the node here has; null without one.
        proof: what its MGM has signed of it, in base64; null without a list.
        error_reason: why a claim was refused.
    """

    holding_identity_short_hash: str
    place: str
    request_id: str | None
    epoch: int
    listed_epoch: int | None
    proof: str | None
    error_reason: str | None


@router.get("/maintenance/transferkey")
def get_transfer_key(services: Services) -> TransferKey:
    """Give the public key to which files of nodes for this cluster are encrypted."""
    return TransferKey(recipient=services.transfer_key())


@router.get("/maintenance/transfer/{requestid}")
def get_transfer(requestid: Uuid, services: Services) -> TransferStatus:
    """Tell how far an export or import has come."""
    return _status(services.moves.transfer(requestid))


@router.get(
    "/maintenance/transfer/{requestid}/file",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "Its bytes."}},
)
def get_transfer_file(
    requestid: Uuid, services: Services, offset: Annotated[int, Query(ge=0)] = 0
) -> Response:
    """Give the bytes of an exported node's file from `offset` on, at most 8 MiB."""
    with services.moves.leaving.file(requestid).open("rb") as stream:
        stream.seek(min(offset, os.fstat(stream.fileno()).st_size))
        data = stream.read(PART_BYTES_MAX)
    return Response(data, media_type="application/octet-stream")


@router.post("/maintenance/import", status_code=HTTPStatus.ACCEPTED)
def post_import(services: Services) -> AsyncResponse:
    """Begin the import of a node; its file follows in parts."""
    return AsyncResponse(request_id=services.moves.arriving.begin_import())


@router.put("/maintenance/import/{requestid}/part")
def put_import_part(
    requestid: Uuid, offset: Annotated[str, Form()], part: UploadFile, services: Services
) -> ImportedSize:
    """Append a part of a node's file, of at most 8 MiB; a repeated part changes nothing."""
    if not (offset.isascii() and offset.isdigit() and len(offset) <= 18):
        raise RequestInvalidError(f"{offset[:64]!r} is no offset in a file")
    data = part.file.read(PART_BYTES_MAX + 1)
    return ImportedSize(size=services.moves.arriving.add_part(requestid, int(offset), data))


@router.delete("/maintenance/import/{requestid}", status_code=HTTPStatus.NO_CONTENT)
def delete_import_file(requestid: Uuid, services: Services) -> None:
    """Delete the file of an import that was not started, or that has failed."""
    services.moves.arriving.delete_import(requestid)


@router.post("/maintenance/import/{requestid}/start", status_code=HTTPStatus.ACCEPTED)
def post_import_start(
    requestid: Uuid, request: StartImportRequest, services: Services
) -> AsyncResponse:
    """Read the file of a node, and load it; poll its status."""
    services.moves.arriving.start(requestid, identity=request.identity)
    return AsyncResponse(request_id=requestid)


@router.post(
    "/maintenance/virtualnode/{virtualnodeshortid}/export", status_code=HTTPStatus.ACCEPTED
)
def post_export(
    virtualnodeshortid: NodeHash, request: ExportRequest, services: Services
) -> AsyncResponse:
    """Pause a virtual node for good, and write its file; poll its status."""
    started = services.moves.leaving.export(
        virtualnodeshortid, recipient=request.recipient, identity=request.identity
    )
    return AsyncResponse(request_id=started)


@router.post("/maintenance/virtualnode/{virtualnodeshortid}/export/cancel")
def post_export_cancel(
    virtualnodeshortid: NodeHash, request: CancelRequest, services: Services
) -> NodeLocation:
    """Take an exported node back; in a dynamic network, if its MGM says so."""
    services.moves.leaving.cancel(
        virtualnodeshortid, is_forced=request.unfenced, token=request.pre_auth_token
    )
    return node_location(services, virtualnodeshortid)


@router.post("/maintenance/virtualnode/{virtualnodeshortid}/moved")
def post_moved(
    virtualnodeshortid: NodeHash, request: MovedRequest, services: Services
) -> NodeLocation:
    """Learn that an exported node works elsewhere: what it left here is erased."""
    services.moves.leaving.moved(virtualnodeshortid, _proof(request.proof))
    return node_location(services, virtualnodeshortid)


@router.post("/maintenance/virtualnode/{virtualnodeshortid}/activate")
def post_activate(
    virtualnodeshortid: NodeHash, request: ActivateRequest, services: Services
) -> NodeLocation:
    """Let an imported node work here; in a dynamic network, once its MGM says so."""
    services.moves.arriving.activate(
        virtualnodeshortid,
        urls=request.endpoints,
        tls_alias=request.p2p_tls_certificate_chain_alias,
        token=request.pre_auth_token,
    )
    return node_location(services, virtualnodeshortid)


@router.delete(
    "/maintenance/virtualnode/{virtualnodeshortid}/import", status_code=HTTPStatus.NO_CONTENT
)
def delete_import(virtualnodeshortid: NodeHash, services: Services) -> None:
    """Delete an imported node that does not work here yet."""
    services.moves.arriving.give_up(virtualnodeshortid)


@router.get("/maintenance/virtualnode/{virtualnodeshortid}/location")
def get_location(virtualnodeshortid: NodeHash, services: Services) -> NodeLocation:
    """Tell where a virtual node is."""
    return node_location(services, virtualnodeshortid)


def node_location(services: RestServices, node: ShortHash) -> NodeLocation:
    """Where a node is, as the answer tells it."""
    found, listed = services.moves.location(node), services.moves.listed(node)
    proof = None if listed is None else base64.b64encode(_proof_encoder.encode(listed.member))
    return NodeLocation(
        holding_identity_short_hash=node,
        place="HERE" if found is None else found.place.value,
        request_id=None if found is None else found.transfer or None,
        epoch=0 if found is None else found.epoch,
        listed_epoch=None if listed is None else listed.epoch,
        proof=None if proof is None else proof.decode(),
        error_reason=services.moves.watch.refusal(node),
    )


def _proof(text: str) -> SignedMember:
    try:
        return _proofs.decode(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, RecursionError) as exc:
        raise RequestInvalidError("the proof of a move is malformed") from exc


def _status(found: Transfer) -> TransferStatus:
    return TransferStatus(
        request_id=found.request_id,
        kind=found.kind,
        holding_identity_short_hash=found.short_hash or None,
        status=found.status,
        stage=found.stage,
        bytes_done=found.bytes_done,
        bytes_total=found.bytes_total,
        last_updated_timestamp=instant(found.updated_at),
        error_reason=found.error,
        recipient=found.recipient,
    )
