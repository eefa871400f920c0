"""Stored CPIs: one row each in the cluster's database, and a file beside it.

The file is complete before its row is committed, so every row has its file. Files without a row are
left over from a crash; `sweep` removes them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, tuple_
from sqlalchemy.exc import IntegrityError

from cpi.archive.sources import Source, chunks_of, source_of
from cpi.package.group_policy import CREATE_ID
from cpi.package.model import PackageId
from host.database.revision_cache import RevisionCache
from host.database.sql import Upsert
from host.domain.ids import Checksum, EpochMs, ShortHash
from host.domain.packages import CpiRecord, CpkOfCpi
from host.nodes.packages.errors import GroupOfOthersError, PackageDuplicateError
from host.nodes.packages.records import dump_cpks, load_cpks
from host.nodes.packages.tables import CPI, CPI_REPLACED, CPK, GROUP_FOUNDER
from host.ports.cpi_files import CpiFiles
from host.ports.database import SqlDatabase


class PackageCatalogue:
    """The `Packages` port over SQL rows and `CpiFiles`. Safe to use from several threads."""

    def __init__(self, *, database: SqlDatabase, files: CpiFiles) -> None:
        self._database = database
        self._files = files
        self._records = RevisionCache(database, self._find)

    def get(self, checksum: Checksum) -> CpiRecord | None:
        """The CPI of this checksum, or the one that replaced it by a forced upload."""
        return self._records.get(checksum)

    def _find(self, checksum: Checksum) -> CpiRecord | None:
        with self._database.read() as connection:
            row = connection.execute(select(CPI).where(CPI.c.file_checksum == checksum)).first()
            if row is None:
                same = [CPI.c[n] == CPI_REPLACED.c[n] for n in _IDENTITY]
                row = connection.execute(
                    select(CPI)
                    .join(CPI_REPLACED, same[0] & same[1] & same[2])
                    .where(CPI_REPLACED.c.file_checksum == checksum)
                ).first()
        return None if row is None else _record(row)

    def find_cpk(self, checksum: Checksum) -> CpkOfCpi | None:
        with self._database.read() as connection:
            for table in (CPI, CPI_REPLACED):
                row = connection.execute(
                    select(table)
                    .join(CPK, CPK.c.cpi_checksum == table.c.file_checksum)
                    .where(CPK.c.file_checksum == checksum)
                    .order_by(table.c.stored_at.desc(), table.c.file_checksum)
                    .limit(1)
                ).first()
                if row is not None:
                    cpi = _record(row)
                    return CpkOfCpi(
                        cpi=cpi, cpk=next(c for c in cpi.cpks if c.file_checksum == checksum)
                    )
        return None

    def find_by_short_hash(self, short_checksum: ShortHash) -> CpiRecord | None:
        query = select(CPI).where(CPI.c.file_checksum.startswith(f"SHA-256:{short_checksum}"))
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _record(row)

    def find_by_identity(self, identity: PackageId) -> CpiRecord | None:
        query = select(CPI).where(
            CPI.c.name == identity.name,
            CPI.c.version == identity.version,
            CPI.c.signer_summary_hash == identity.signer_summary_hash,
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _record(row)

    def founders(self, group_id: str) -> str | None:
        """The signer summary hash of the group's first CPI, None for a group without one."""
        with self._database.read() as connection:
            return _founders(connection, group_id)

    def check_group(self, record: CpiRecord) -> None:
        """Check that a CPI's signers founded its group, or that the group is new.

        Raises:
            GroupOfOthersError: other signers founded it.
        """
        with self._database.read() as connection:
            _refuse_others(connection, record)

    def newest(
        self, limit: int, before: tuple[int, str] | None = None
    ) -> Sequence[tuple[EpochMs, Checksum]]:
        """When CPIs were stored, and their checksums, the latest first, at most `limit`.

        Args:
            limit: maximum number of items.
            before: only those before this time and checksum.
        """
        place = (CPI.c.stored_at, CPI.c.file_checksum)
        query = select(*place).order_by(*(column.desc() for column in place)).limit(limit)
        if before is not None:
            query = query.where(tuple_(*place) < before)
        with self._database.read() as connection:
            rows = connection.execute(query)
            return [(EpochMs(stored_at), Checksum(checksum)) for stored_at, checksum in rows]

    def all(self) -> Sequence[CpiRecord]:
        """All stored CPIs, the oldest first."""
        query = select(CPI).order_by(CPI.c.stored_at, CPI.c.file_checksum)
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(query)]

    def missing(self) -> Sequence[CpiRecord]:
        """Stored CPIs whose file is missing or empty."""
        return [stored for stored in self.all() if not self._files.has(stored.file_checksum)]

    def read(self, checksum: Checksum) -> bytes:
        """The bytes of a stored CPI, checked against its checksum.

        Raises:
            StorageError: they are missing, unreadable or damaged.
        """
        return self._files.read(checksum)

    def chunks(self, checksum: Checksum) -> Iterator[bytes]:
        """The bytes of a stored CPI in pieces; the first is returned after all were checked.

        Raises:
            StorageError: as for `read`.
        """
        return self._files.chunks(checksum)

    def store(
        self,
        record: CpiRecord,
        data: bytes | Source,
        *,
        replaces: CpiRecord | None,
        forced: bool = False,
    ) -> None:
        """Store a CPI, all or nothing.

        Args:
            record: the record to store.
            data: the CPI file.
            replaces: the stored CPI of the same identity that it replaces, if any.
            forced: accept it although other signers founded its group.

        Raises:
            PackageDuplicateError: a CPI of this identity or checksum was stored first.
            GroupOfOthersError: other signers founded its group while this CPI was compiled.
            StorageError: disk full or unwritable.
        """
        checksum, content = record.file_checksum, source_of(data)
        is_new = self._files.write(checksum, chunks_of(content, 0, content.size))
        try:
            self._database.transact(
                lambda connection: self._insert(connection, record, replaces, forced=forced)
            )
        except BaseException as failed:
            if is_new and self.get(checksum) is None:
                self._files.discard(checksum)
            if isinstance(failed, IntegrityError):
                raise PackageDuplicateError(
                    f"CPI {_text(record.identity)} already exists."
                ) from failed
            raise

    def _insert(
        self,
        connection: Connection,
        record: CpiRecord,
        replaces: CpiRecord | None,
        *,
        forced: bool,
    ) -> None:
        identity = {name: getattr(record.identity, name) for name in _IDENTITY}
        if not forced:
            _refuse_others(connection, record)
        if record.group_id != CREATE_ID and _founders(connection, record.group_id) is None:
            connection.execute(
                insert(GROUP_FOUNDER).values(
                    group_id=record.group_id,
                    signer_summary_hash=record.identity.signer_summary_hash,
                )
            )
        if replaces is not None:
            old = replaces.file_checksum
            connection.execute(
                delete(CPI_REPLACED).where(CPI_REPLACED.c.file_checksum == record.file_checksum)
            )
            if old != record.file_checksum:
                names = [column.name for column in CPI_REPLACED.columns]
                row = select(*(CPI.c[name] for name in names)).where(CPI.c.file_checksum == old)
                connection.execute(insert(CPI_REPLACED).from_select(names, row))
            connection.execute(delete(CPI).where(CPI.c.file_checksum == old))
        connection.execute(
            insert(CPI).values(
                file_checksum=record.file_checksum,
                group_id=record.group_id,
                group_policy=record.group_policy,
                cpks=dump_cpks(record.cpks),
                stored_at=record.stored_at,
                **identity,
            )
        )
        kept = [
            {"file_checksum": checksum, "cpi_checksum": record.file_checksum}
            for checksum in sorted({cpk.file_checksum for cpk in record.cpks})
        ]
        if kept:
            _KEEP_CPK.run(connection, kept)

    def sweep(self) -> None:
        """Remove files of interrupted uploads. Only for the uploading process, while none runs.

        Raises:
            StorageError: the files cannot be listed or removed.
        """
        with self._database.read() as connection:
            known = [
                *connection.execute(select(CPI.c.file_checksum)).scalars(),
                *connection.execute(select(CPI_REPLACED.c.file_checksum)).scalars(),
            ]
        self._files.sweep({Checksum(checksum) for checksum in known})


_KEEP_CPK = Upsert(table=CPK, keep=True)
_IDENTITY = ("name", "version", "signer_summary_hash")


def _founders(connection: Connection, group_id: str) -> str | None:
    query = select(GROUP_FOUNDER.c.signer_summary_hash).where(GROUP_FOUNDER.c.group_id == group_id)
    found = connection.execute(query).scalar_one_or_none()
    return None if found is None else str(found)


def _refuse_others(connection: Connection, record: CpiRecord) -> None:
    founders, signers = _founders(connection, record.group_id), record.identity.signer_summary_hash
    if founders is not None and founders != signers:
        raise GroupOfOthersError(
            f"Group {record.group_id} was founded by the signers {founders}; "
            f"CPI {_text(record.identity)} has other signers, and can only be forced in.",
            group=record.group_id,
            founders=founders,
            signers=signers,
        )


def _record(row: Row[Any]) -> CpiRecord:
    return CpiRecord(
        identity=PackageId(
            name=row.name, version=row.version, signer_summary_hash=row.signer_summary_hash
        ),
        file_checksum=Checksum(row.file_checksum),
        group_id=row.group_id,
        group_policy=row.group_policy,
        cpks=load_cpks(row.cpks),
        stored_at=EpochMs(row.stored_at),
    )


def _text(identity: PackageId) -> str:
    return f"{identity.name}, {identity.version}, {identity.signer_summary_hash}"
