"""Uploads by request id: where each stands, which identities are on their way.

Kept in memory: an upload that a crash interrupts is forgotten and has stored nothing.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from threading import Lock

from host.domain.errors import HostError, UnavailableError
from host.domain.ids import ShortHash
from host.domain.packages import PackageIdentity
from host.packages.errors import PackageDuplicateError, UploadUnknownError

REMEMBERED_MAX = 1000
PENDING_MAX = 16
PENDING_BYTES_MAX = 512 * 1024 * 1024
STATUS_OK = "OK"


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadStatus:
    """Where an upload stands: `OK` once stored, else the stage's text.

    `cpi_checksum` is the short checksum of the stored CPI.
    """

    status: str
    cpi_checksum: ShortHash | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Upload:
    status: UploadStatus
    failure: HostError | None = None
    pending: PackageIdentity | None = None
    size: int = 0


class Uploads:
    """The outcomes of the latest uploads; those pending are limited in number and in bytes."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._uploads: OrderedDict[str, _Upload] = OrderedDict()

    def open(self, request_id: str, identity: PackageIdentity, size: int, stage: str) -> None:
        """Begin an upload; its identity is taken until it ends.

        Raises:
            PackageDuplicateError: an upload of this identity is pending.
            UnavailableError: too many uploads are pending.
        """
        with self._lock:
            pending = [u for u in self._uploads.values() if u.pending]
            if any(u.pending == identity for u in pending):
                raise PackageDuplicateError(
                    f"CPI {identity.name}, {identity.version}, {identity.signer_summary_hash} "
                    "is being uploaded already."
                )
            together = size + sum(u.size for u in pending)
            if pending and (len(pending) >= PENDING_MAX or together > PENDING_BYTES_MAX):
                raise UnavailableError(f"{len(pending)} uploads are pending; try again later")
            self._uploads[request_id] = _Upload(
                status=UploadStatus(status=stage), pending=identity, size=size
            )
            self._forget_oldest()

    def advance(self, request_id: str, stage: str) -> None:
        with self._lock:
            upload = self._uploads[request_id]
            self._uploads[request_id] = replace(upload, status=UploadStatus(status=stage))

    def succeed(self, request_id: str, checksum: ShortHash) -> None:
        status = UploadStatus(status=STATUS_OK, cpi_checksum=checksum)
        with self._lock:
            self._uploads[request_id] = _Upload(status=status)

    def fail(self, request_id: str, failure: HostError) -> None:
        with self._lock:
            status = self._uploads[request_id].status
            self._uploads[request_id] = _Upload(status=status, failure=failure)

    def status(self, request_id: str) -> UploadStatus:
        """The stage that an upload has reached.

        Raises:
            UploadUnknownError: no such request.
            HostError: the refusal that ended the upload.
        """
        with self._lock:
            upload = self._uploads.get(request_id)
        if upload is None:
            raise UploadUnknownError(f"No such requestId={request_id}")
        if upload.failure is not None:
            raise _again(upload.failure)
        return upload.status

    def _forget_oldest(self) -> None:
        finished = [key for key, upload in self._uploads.items() if upload.pending is None]
        for key in finished[: max(0, len(self._uploads) - REMEMBERED_MAX)]:
            del self._uploads[key]


def _again(failure: HostError) -> HostError:
    """The same refusal as a fresh exception, so that tracebacks of two callers do not pile up."""
    return type(failure)(failure.message, **dict(failure.details))
