"""Uploading CPIs: checks during the request, and checks in the background that run the code.

During the request: the package's structure and signatures, its group policy, its identity against
stored CPIs, and components against their world. In the background: Python CPKs are rebuilt from
their sources, and every CPK's code is run to describe itself. The CPI is stored only after that.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import structlog

from cpi.archive.sources import Source, source_of
from cpi.errors import CpiError
from cpi.package.group_policy import parse_group_policy
from cpi.package.model import PackageType, VerifiedPackage
from cpi.package.verify import verify_package
from host.database.claims import Claimant
from host.domain.errors import HostError, UnavailableError
from host.domain.ids import Checksum, EpochMs, ShortHash, short_hash_of
from host.domain.packages import CpiRecord
from host.guests.admissions import Admissions, Task
from host.guests.code import CpkCode, code_of, make_component, prove
from host.guests.declarations import DeclarationInvalidError
from host.guests.records import record_of
from host.ledger.query.errors import QueryDeclarationError
from host.nodes.packages.catalogue import PackageCatalogue
from host.nodes.packages.errors import PackageDuplicateError, PackageUploadRefusedError
from host.nodes.packages.trust import CertificateStore
from host.nodes.packages.uploaded import UploadedFile
from host.nodes.packages.uploads import Uploads, UploadStatus
from host.ports.clock import Clock
from host.ports.cpi_files import CpiFiles
from host.ports.database import SqlDatabase
from host.ports.live import Fixed, Live
from sandbox.runnable import Runnable
from sandbox.runtime import Sandbox
from sandbox.world import World

UPLOAD_BYTES_MAX = 200_000_000
"""Corda's default of `corda.rest` `maxContentLength`."""
NAME_LENGTH_MAX = 255
_Result = TypeVar("_Result")


_UPLOAD = Fixed(UPLOAD_BYTES_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Accepted:
    """An upload that passed the checks during the request."""

    request_id: str
    data: Source
    record: CpiRecord
    codes: tuple[CpkCode, ...]
    replaces: CpiRecord | None
    forced: bool
    close: Callable[[], None]


class PackageService:
    """Upload of CPIs, and look-up of stored ones (the `Packages` port).

    Attributes:
        certificates: imported certificate chains; those of usage `code-signer` are trusted.
    """

    def __init__(
        self,
        *,
        database: SqlDatabase,
        files: CpiFiles,
        sandbox: Sandbox,
        clock: Clock,
        executor: Executor,
        admissions: Admissions,
        claimant: Claimant,
        candidate: Callable[[World, str], Runnable] | None = None,
        upload_bytes_max: Live[int] = _UPLOAD,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        """Open the catalogue, and remove what interrupted uploads left.

        Args:
            database: the cluster's, opened with the schema `host.nodes.packages.tables.PACKAGES`.
            files: where CPI files are kept.
            sandbox: makes images and admits components.
            clock: gives validity checks and records their time.
            executor: runs the background part of uploads.
            admissions: runs the code of CPKs; those of one upload are judged in the order of names.
            claimant: this process, among those that upload.
            candidate: gives the guest that describes itself; by default one of the sandbox.
            upload_bytes_max: larger files are refused.
            new_id: makes request ids.

        Raises:
            StorageError: the files or the database cannot be used.
        """
        self.certificates = CertificateStore(database=database, clock=clock)
        self._catalogue = PackageCatalogue(database=database, files=files)
        self._catalogue.sweep()
        self._sandbox = sandbox
        self._newcomer = candidate
        self._clock = clock
        self._executor = executor
        self._admissions = admissions
        self._upload_bytes_max = upload_bytes_max
        self._new_id = new_id
        self._uploads = Uploads(database, claimant=claimant, clock=clock)
        self._uploads.end_abandoned(of_earlier_runs=True)
        self._log = structlog.get_logger("host.nodes.packages")

    def renew(self) -> None:
        """Renew the claims of this process's uploads, and fail those of ended processes.

        Call it every `host.database.claims.RENEW_SECONDS`.

        Raises:
            StorageError: it cannot be stored.
        """
        self._uploads.renew()
        self._uploads.end_abandoned()

    def get(self, checksum: Checksum) -> CpiRecord | None:
        return self._catalogue.get(checksum)

    def find_by_short_hash(self, short_checksum: ShortHash) -> CpiRecord | None:
        return self._catalogue.find_by_short_hash(short_checksum)

    def newest(
        self, limit: int, before: tuple[int, str] | None = None
    ) -> Sequence[tuple[EpochMs, Checksum]]:
        """When CPIs were stored, and their checksums; see `PackageCatalogue.newest`."""
        return self._catalogue.newest(limit, before)

    def all(self) -> Sequence[CpiRecord]:
        return self._catalogue.all()

    def founders(self, group_id: str) -> str | None:
        return self._catalogue.founders(group_id)

    def chunks(self, checksum: Checksum) -> Iterator[bytes]:
        """The bytes of a stored CPI file, in pieces.

        Raises:
            StorageError: missing or damaged; raised before the first piece.
        """
        return self._catalogue.chunks(checksum)

    def upload(
        self, data: bytes | UploadedFile, file_name: str | None = None, *, force: bool = False
    ) -> str:
        """Check a CPI and begin to store it.

        Args:
            data: the CPI file, which is closed when it is refused or stored.
            file_name: as the client named it, for messages.
            force: replace the stored CPI of the same name, version, signer and group, or let a
                CPI into a group that other signers founded.

        Returns:
            The request id for `upload_status`.

        Raises:
            PackageUploadRefusedError: the file does not pass a check.
            PackageDuplicateError: the CPI is stored already, or being uploaded.
            GroupOfOthersError: other signers founded the CPI's group, and `force` is not set.
            UnavailableError: too many uploads are pending.
        """
        close = _nothing if isinstance(data, bytes) else data.close
        try:
            accepted = self._accepted(source_of(data), file_name, force=force, close=close)
            self._submit(accepted)
        except BaseException:
            close()
            raise
        return accepted.request_id

    def _submit(self, accepted: _Accepted) -> None:
        try:
            self._executor.submit(self._finish, accepted)
        except RuntimeError as refused:
            stopping = UnavailableError("the host is stopping; upload again when it runs")
            self._uploads.fail(accepted.request_id, stopping)
            raise stopping from refused

    def _accepted(
        self, data: Source, file_name: str | None, *, force: bool, close: Callable[[], None]
    ) -> _Accepted:
        """The checks during the request."""
        label = file_name or "the upload"
        most = self._upload_bytes_max.get()
        if data.size > most:
            raise PackageUploadRefusedError(
                f"{label} has {data.size} bytes, at most {most}",
                check="upload-size",
            )
        package = self._verified(data)
        record = self._record(package)
        replaces = self._replaced(record, force=force)
        codes = self._codes(package)
        request_id = self._new_id()
        self._uploads.open(request_id, record.identity, size=data.size, stage="Validating CPI")
        return _Accepted(
            request_id=request_id,
            data=data,
            record=record,
            codes=codes,
            replaces=replaces,
            forced=force,
            close=close,
        )

    def upload_status(self, request_id: str) -> UploadStatus:
        """The stage of an upload; `OK` once the CPI is stored.

        Raises:
            UploadUnknownError: no such request.
            HostError: the upload failed (`InvalidInputError`, `ConflictError`, `StorageError`).
        """
        return self._uploads.status(request_id)

    def _verified(self, data: Source) -> VerifiedPackage:
        trusted = self.certificates.trusted()
        if not trusted:
            raise PackageUploadRefusedError(
                "Error validating CPI.  Trusted certificates not set", check="no-trust"
            )
        at = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        try:
            return verify_package(data, package_type=PackageType.CPI, trusted=trusted, at=at)
        except CpiError as refused:
            raise _refused("Error validating CPI.  ", refused) from refused

    def _record(self, package: VerifiedPackage) -> CpiRecord:
        """The record to store, after the checks beyond signatures."""
        if package.group_policy is None or package.id is None:
            raise PackageUploadRefusedError(
                "CPI is missing a group policy file", check="group-policy"
            )
        try:
            group_id = parse_group_policy(package.group_policy).group_id
        except CpiError as refused:
            raise _refused("Group policy file in the CPI is invalid. ", refused) from refused
        for cpk in package.cpks:
            if cpk.descriptor is None:
                raise PackageUploadRefusedError(
                    f"CPK {cpk.file_name}: wasm/descriptor.json is missing",
                    check="cpk-descriptor-missing",
                )
        for text in (package.id.name, package.id.version):
            if len(text) > NAME_LENGTH_MAX:
                raise PackageUploadRefusedError(
                    f"CPI name and version have at most {NAME_LENGTH_MAX} characters",
                    check="cpi-name",
                )
        try:
            return record_of(package, group_id=group_id, stored_at=self._clock.now_ms())
        except (DeclarationInvalidError, QueryDeclarationError) as refused:
            raise PackageUploadRefusedError(
                f"Invalid CPI: {refused.message}", check=refused.code
            ) from refused

    def _replaced(self, record: CpiRecord, *, force: bool) -> CpiRecord | None:
        """The stored CPI that a forced upload replaces.

        Source: Corda's `DatabaseCpiPersistence.validateCanUpsertCpi`; the check of the group's
        founders is ours.
        """
        identity = record.identity
        stored = self._catalogue.find_by_identity(identity)
        if not force:
            if stored is not None:
                raise PackageDuplicateError(
                    f"CPI {identity.name}, {identity.version}, "
                    f"{identity.signer_summary_hash} already exists."
                )
            self._catalogue.check_group(record)
            return None
        if stored is None:
            founders = self._catalogue.founders(record.group_id)
            if founders not in (None, identity.signer_summary_hash):
                self._log.warning(
                    "group-of-others-forced", group=record.group_id, cpi=identity.name
                )
                return None
            raise PackageUploadRefusedError(
                "No instance of same CPI with previous version found", check="force-upload"
            )
        if stored.group_id != record.group_id:
            raise PackageUploadRefusedError(
                "Cannot force update a CPI with a different group ID", check="force-upload"
            )
        return stored

    def _codes(self, package: VerifiedPackage) -> tuple[CpkCode, ...]:
        """The code of every CPK, by name; components are checked against their world at once."""
        try:
            named = sorted(package.cpks, key=lambda cpk: cpk.file_name)
            codes = tuple(code_of(cpk, package.cpks) for cpk in named)
            components = (code for code in codes if code.wasm is not None)
            self._admissions.run(
                [_task(code, partial(make_component, self._sandbox, code)) for code in components]
            )
        except HostError as refused:
            raise PackageUploadRefusedError(
                f"Invalid CPI: {refused.message}", **{"check": refused.code, **refused.details}
            ) from refused
        return codes

    def _finish(self, accepted: _Accepted) -> None:
        """The background part; `upload_status` reports how it ended."""
        try:
            self._prove(accepted)
            self._uploads.advance(accepted.request_id, "Persisting CPI")
            self._catalogue.store(
                accepted.record,
                accepted.data,
                replaces=accepted.replaces,
                forced=accepted.forced,
            )
        except HostError as failed:
            self._uploads.fail(accepted.request_id, failed)
        except Exception:  # noqa: BLE001  # the thread's outermost frame: log and tell the client
            self._log.exception("upload-failed", request_id=accepted.request_id)
            self._uploads.fail(accepted.request_id, HostError("The upload failed unexpectedly"))
        else:
            self._uploads.succeed(accepted.request_id, short_hash_of(accepted.record.file_checksum))
        finally:
            accepted.close()

    def _prove(self, accepted: _Accepted) -> None:
        """Run the code of every CPK, and tell how many are done."""

        def stage(text: str) -> None:
            self._uploads.advance(accepted.request_id, f"Compiling CPKs: {text}")

        if accepted.codes:
            stage(f"0 of {len(accepted.codes)}")
        self._admissions.run(
            [
                _task(code, partial(prove, self._sandbox, code, self._newcomer))
                for code in accepted.codes
            ],
            lambda label, count, whole: stage(f"{count} of {whole} ({label})"),
        )


def _task(code: CpkCode, action: Callable[[], _Result]) -> Task[_Result]:
    return Task(name=code.label, memory_bytes=code.memory_bytes, action=action)


def _nothing() -> None:
    """Bytes in memory need no closing."""


def _refused(prefix: str, refused: CpiError) -> PackageUploadRefusedError:
    details = {"check": refused.code}
    if refused.entry:
        details["entry"] = refused.entry
    where = f"{refused.entry}: " if refused.entry and refused.entry not in refused.message else ""
    return PackageUploadRefusedError(f"{prefix}{where}{refused.message}", **details)
