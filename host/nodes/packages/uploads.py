"""Uploads by request id: their stages, and the identities being uploaded.

Kept in the cluster's database, where every process can read them. An upload is not resumed: if its
process ended, it has stored nothing and is reported as failed.
"""

import json
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from cpi.package.model import PackageId
from host.database.claims import RELEASED, Claimant, Claims
from host.domain.errors import (
    ConflictError,
    DiskFullError,
    HostError,
    InvalidInputError,
    StorageError,
    UnavailableError,
)
from host.domain.ids import ShortHash
from host.nodes.packages.errors import (
    PackageDuplicateError,
    UploadInterruptedError,
    UploadUnknownError,
)
from host.nodes.packages.tables import UPLOAD
from host.ports.clock import Clock
from host.ports.database import SqlDatabase

REMEMBERED_MAX = 1000
PENDING_MAX = 16
PENDING_BYTES_MAX = 512 * 1024 * 1024
STATUS_OK = "OK"
_KINDS = (InvalidInputError, ConflictError, UnavailableError, DiskFullError, StorageError)
"""Kinds of failures, subclasses first; all others are `HostError`."""
_ENDED = {"pending": None, **RELEASED}


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadStatus:
    """The stage of an upload: `OK` once stored, else the stage's text.

    `cpi_checksum` is the short checksum of the stored CPI.
    """

    status: str
    cpi_checksum: ShortHash | None = None


class Uploads:
    """The outcomes of the latest uploads; pending ones are limited in number and in bytes."""

    def __init__(self, database: SqlDatabase, *, claimant: Claimant, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._claims = Claims(
            database,
            UPLOAD,
            is_unfinished=UPLOAD.c.pending.is_(True),
            claimant=claimant,
            clock=clock,
        )

    def open(self, request_id: str, identity: PackageId, size: int, stage: str) -> None:
        """Begin an upload; its identity is reserved until it ends.

        Raises:
            PackageDuplicateError: an upload of this identity is pending.
            UnavailableError: too many uploads are pending.
        """
        self.end_abandoned()
        row = {
            "request_id": request_id,
            "name": identity.name,
            "version": identity.version,
            "signer_summary_hash": identity.signer_summary_hash,
            "size": size,
            "stage": stage,
            "pending": True,
            "started_at": self._clock.now_ms(),
            **self._claims.values(),
        }

        def begin(connection: Connection) -> None:
            connection.execute(insert(UPLOAD), row)
            _refuse_too_many(connection)
            _forget_oldest(connection)

        try:
            self._database.transact(begin)
        except IntegrityError as exc:
            raise PackageDuplicateError(
                f"CPI {identity.name}, {identity.version}, {identity.signer_summary_hash} "
                "is being uploaded already."
            ) from exc
        self._claims.hold(request_id)

    def advance(self, request_id: str, stage: str) -> None:
        self._set(request_id, stage=stage, **self._claims.values())

    def succeed(self, request_id: str, checksum: ShortHash) -> None:
        self._set(request_id, stage=STATUS_OK, cpi_checksum=checksum, failure=None, **_ENDED)
        self._claims.let_go(request_id)

    def fail(self, request_id: str, failure: HostError) -> None:
        self._set(request_id, failure=_written(failure), **_ENDED)
        self._claims.let_go(request_id)

    def status(self, request_id: str) -> UploadStatus:
        """The stage that an upload has reached, in any process.

        Raises:
            UploadUnknownError: no such request.
            UploadInterruptedError: the process that worked on it has ended.
            HostError: the refusal that ended the upload.
        """
        with self._database.read() as connection:
            row = connection.execute(
                select(UPLOAD).where(UPLOAD.c.request_id == request_id)
            ).one_or_none()
        if row is None:
            raise UploadUnknownError(f"No such requestId={request_id}")
        if row.failure is not None:
            raise _read(row.failure)
        if row.pending and row.claimed_until < self._clock.now_ms():
            raise _interrupted(request_id)
        return UploadStatus(
            status=row.stage,
            cpi_checksum=None if row.cpi_checksum is None else ShortHash(row.cpi_checksum),
        )

    def renew(self) -> None:
        """Renew this process's claims, as a heartbeat; call it every `RENEW_SECONDS`.

        Raises:
            StorageError: it cannot be stored.
        """
        self._claims.renew()

    def end_abandoned(self, *, of_earlier_runs: bool = False) -> int:
        """Fail the uploads whose process has ended; returns their number.

        Args:
            of_earlier_runs: include uploads of earlier runs of this process; only at its start.
        """
        abandoned = self._claims.take(of_earlier_runs=of_earlier_runs)
        for request_id in abandoned:
            self.fail(request_id, _interrupted(request_id))
        return len(abandoned)

    def _set(self, request_id: str, **values: object) -> None:
        change = update(UPLOAD).where(UPLOAD.c.request_id == request_id).values(**values)
        self._database.transact(lambda connection: connection.execute(change))


def _refuse_too_many(connection: Connection) -> None:
    pending = select(func.count(), func.sum(UPLOAD.c.size)).where(UPLOAD.c.pending.is_(True))
    count, together = connection.execute(pending).one()
    if count > 1 and (count > PENDING_MAX or together > PENDING_BYTES_MAX):
        raise UnavailableError(f"{count - 1} uploads are pending; try again later")


def _forget_oldest(connection: Connection) -> None:
    oldest = (
        select(UPLOAD.c.request_id)
        .where(UPLOAD.c.pending.is_(None))
        .order_by(UPLOAD.c.started_at.desc(), UPLOAD.c.request_id.desc())
        .offset(REMEMBERED_MAX)
    )
    connection.execute(delete(UPLOAD).where(UPLOAD.c.request_id.in_(oldest)))


def _interrupted(request_id: str) -> UploadInterruptedError:
    return UploadInterruptedError(
        f"Upload {request_id} was interrupted: the process that worked on it has ended. Nothing was"
        " stored; upload again."
    )


def _written(failure: HostError) -> str:
    kind = next((kind for kind in _KINDS if isinstance(failure, kind)), HostError)
    return json.dumps(
        {
            "code": failure.code,
            "kind": kind.__name__,
            "message": failure.message,
            "details": dict(failure.details),
        }
    )


def _read(text: str) -> HostError:
    """The stored failure as a new exception; one of another release has at least the same kind."""
    found = json.loads(text)
    known = next(
        (kind for kind in _classes(HostError) if kind.__dict__.get("code") == found["code"]), None
    )
    if known is None or known.__init__ is not HostError.__init__:
        kind = next((kind for kind in _KINDS if kind.__name__ == found["kind"]), HostError)
        known = type(kind.__name__, (kind,), {"code": found["code"]})
    return known(found["message"], **found["details"])


def _classes(kind: type[HostError]) -> list[type[HostError]]:
    return [kind, *(inner for each in kind.__subclasses__() for inner in _classes(each))]
