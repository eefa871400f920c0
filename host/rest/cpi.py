"""The CPI resource: upload packages, poll uploads, list what is stored."""

from collections.abc import Sequence
from datetime import datetime

from fastapi import Request, Response, UploadFile

from cpi.package.model import PackageId
from host.domain.ids import Checksum, short_hash_of
from host.domain.packages import CpiRecord, CpkRecord
from host.domain.paging import Cursor
from host.domain.refused import shown
from host.nodes.packages.uploaded import UploadedFile
from host.rest.operation import resource
from host.rest.pages import NEXT_HEADERS, Asked, Place, as_json, listed, streamed
from host.rest.parameters import NodeHash
from host.rest.services import Services
from host.rest.wire import instant, wire

_CPK_TYPE = "UNKNOWN"
"""Corda's type of every CPK that is not its own API."""

router = resource("CPI")
maintenance_router = resource("Virtual Node Maintenance")


@wire
class CpiUploadResponse:
    id: str


@wire
class CpiUploadStatus:
    status: str
    cpi_file_checksum: str


@wire
class CpiIdentifier:
    cpi_name: str
    cpi_version: str
    signer_summary_hash: str | None = None


@wire
class CpkIdentifier:
    name: str
    version: str
    signer_summary_hash: str | None = None


@wire
class CpkMetadata:
    id: CpkIdentifier
    main_bundle: str
    libraries: list[str]
    type: str
    hash: str
    timestamp: datetime


@wire
class CpiMetadata:
    id: CpiIdentifier
    cpi_file_checksum: str
    cpi_file_full_checksum: str
    cpks: list[CpkMetadata]
    timestamp: datetime
    group_policy: str | None = None


@wire
class GetCPIsResponse:
    cpis: list[CpiMetadata]


_CPI_JSON = as_json(CpiMetadata)


@router.get("/cpi", response_model=GetCPIsResponse, responses={200: {"headers": NEXT_HEADERS}})
def get_cpis(services: Services, request: Request, asked: Asked) -> Response:
    """List the CPIs uploaded to the cluster, the latest first."""

    def fetch(cursor: Cursor | None, limit: int) -> Sequence[Place]:
        return services.packages.newest(limit, None if cursor is None else cursor.last)

    page = asked.of("cpis", fetch, lambda stored: stored)

    def render(stored: Place) -> bytes:
        cpi = services.packages.get(Checksum(stored[1]))
        return b"" if cpi is None else _CPI_JSON(_metadata(cpi))

    return listed(request, page, render, member="cpis")


@router.post("/cpi")
def post_cpi(upload: UploadFile, services: Services) -> CpiUploadResponse:
    """Upload a CPI; poll its status with the request id of the reply."""
    return CpiUploadResponse(id=services.packages.upload(_taken(upload), upload.filename))


@router.get("/cpi/status/{id}")
def get_cpi_status(id: str, services: Services) -> CpiUploadStatus:  # noqa: A002  # Corda's name
    """Give the status of an upload."""
    found = services.packages.upload_status(id)
    return CpiUploadStatus(status=found.status, cpi_file_checksum=found.cpi_checksum or "")


@maintenance_router.get(
    "/virtualnode/{holdingidentityshorthash}/cpi",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "The file."}},
)
def get_cpi_of_node(holdingidentityshorthash: NodeHash, services: Services) -> Response:
    """Give the file of the CPI that a virtual node runs, so that it can be audited."""
    cpi = services.cpi_of(services.virtual_node(holdingidentityshorthash))
    chunks = services.packages.chunks(cpi.file_checksum)
    return streamed(chunks, media_type="application/octet-stream")


@maintenance_router.post("/maintenance/virtualnode/forcecpiupload")
def post_force_upload(upload: UploadFile, services: Services) -> CpiUploadResponse:
    """Upload a CPI over the stored one of the same name and version, or into a group of others."""
    taken = _taken(upload)
    return CpiUploadResponse(id=services.packages.upload(taken, upload.filename, force=True))


def _taken(upload: UploadFile) -> UploadedFile:
    return UploadedFile(upload.file, shown(upload.filename or "the upload"))


def cpi_identifier(identity: PackageId) -> CpiIdentifier:
    """A CPI's identity on the wire."""
    return CpiIdentifier(
        cpi_name=identity.name,
        cpi_version=identity.version,
        signer_summary_hash=identity.signer_summary_hash,
    )


def _metadata(cpi: CpiRecord) -> CpiMetadata:
    return CpiMetadata(
        id=cpi_identifier(cpi.identity),
        cpi_file_checksum=short_hash_of(cpi.file_checksum),
        cpi_file_full_checksum=cpi.file_checksum.partition(":")[2],
        cpks=[_cpk_metadata(cpk, instant(cpi.stored_at)) for cpk in cpi.cpks],
        timestamp=instant(cpi.stored_at),
        group_policy=cpi.group_policy,
    )


def _cpk_metadata(cpk: CpkRecord, stored: datetime) -> CpkMetadata:
    identifier = CpkIdentifier(
        name=cpk.identity.name,
        version=cpk.identity.version,
        signer_summary_hash=cpk.identity.signer_summary_hash,
    )
    return CpkMetadata(
        id=identifier,
        main_bundle=cpk.identity.name,
        libraries=list(cpk.libraries),
        type=_CPK_TYPE,
        hash=cpk.file_checksum,
        timestamp=stored,
    )
