"""The files of CPIs as rows of PostgreSQL, in parts of one MiB: the port `CpiFiles`."""

import hashlib
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import suppress

from host.domain.errors import StorageError
from host.domain.ids import Checksum
from host.ports.database import Schema
from plugins.postgres.connections import Access, Session, Sessions

PART_BYTES = 1024 * 1024
SWEPT_AFTER_SECONDS = 24 * 3600
FILES = "cordbox_files"
_TABLE = (
    "CREATE TABLE cpi_file (checksum text, part integer, data bytea NOT NULL,"
    " stored_at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (checksum, part));"
    # Packages are compressed already.
    " ALTER TABLE cpi_file ALTER data SET STORAGE EXTERNAL"
)
TABLES = Schema(name="cpi-files", statements={"postgresql": (_TABLE,)})


class CpiRows:
    """All files of a cluster, for all its hosts; each is written in one transaction.

    Args:
        access: how to connect.
        kept_seconds: age from which `sweep` removes files: another host may be storing a younger
            one, whose package has no row yet.

    Raises:
        StorageError: the tables cannot be used.
    """

    def __init__(self, access: Access, *, kept_seconds: int = SWEPT_AFTER_SECONDS) -> None:
        self._kept_seconds = kept_seconds
        self._sessions = Sessions(access.within(FILES))

    def has(self, checksum: Checksum) -> bool:
        ((found,),) = self._sessions.read(
            lambda session: session.run(
                "SELECT EXISTS (SELECT FROM cpi_file WHERE checksum = :c)",
                c=checksum,
            )
        )
        return bool(found)

    def read(self, checksum: Checksum) -> bytes:
        return b"".join(self.chunks(checksum))

    def chunks(self, checksum: Checksum) -> Iterator[bytes]:
        count = self._checked(checksum)
        for part in range(count):
            yield self._part(checksum, part)

    def write(self, checksum: Checksum, chunks: Iterable[bytes]) -> bool:
        def store(session: Session) -> bool:
            with session.transaction():
                session.run("SELECT pg_advisory_xact_lock(hashtextextended(:c, 0))", c=checksum)
                before = session.run(
                    "DELETE FROM cpi_file WHERE checksum = :c RETURNING part", c=checksum
                )
                try:
                    for number, data in enumerate(_parts(chunks)):
                        session.run(
                            "INSERT INTO cpi_file (checksum, part, data) VALUES (:c, :n, :d)",
                            c=checksum,
                            n=number,
                            d=data,
                        )
                except OSError as broken:
                    raise StorageError(
                        f"package {checksum} cannot be stored: {broken.strerror or broken}"
                    ) from broken
                return not before

        return self._sessions.use(store)

    def discard(self, checksum: Checksum) -> None:
        with suppress(StorageError):
            self._delete("checksum = :c", c=checksum)

    def sweep(self, known: AbstractSet[Checksum]) -> None:
        self._delete(
            "checksum <> ALL (:known)"
            " AND stored_at <= clock_timestamp() - make_interval(secs => :seconds)",
            known=sorted(known),
            seconds=self._kept_seconds,
        )

    def close(self) -> None:
        self._sessions.close()

    def _delete(self, where: str, **values: object) -> None:
        sql = f"DELETE FROM cpi_file WHERE {where}"  # noqa: S608  # constants
        self._sessions.use(lambda session: session.run(sql, **values))

    def _checked(self, checksum: Checksum) -> int:
        """The number of a file's parts, after its checksum was verified."""
        digest, count = hashlib.sha256(), 0
        while data := self._part(checksum, count):
            digest.update(data)
            count += 1
        if not count:
            raise StorageError(f"package {checksum} is not in database {self._sessions.place}")
        found = "SHA-256:" + digest.hexdigest().upper()
        if found != checksum:
            raise StorageError(
                f"package {checksum} in database {self._sessions.place} is damaged: its checksum is"
                f" {found}"
            )
        return count

    def _part(self, checksum: Checksum, number: int) -> bytes:
        rows = self._sessions.read(
            lambda session: session.run(
                "SELECT data FROM cpi_file WHERE checksum = :c AND part = :n", c=checksum, n=number
            )
        )
        return rows[0][0] if rows else b""


def _parts(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes in parts of `PART_BYTES`; the last may be shorter."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= PART_BYTES:
            yield bytes(held[:PART_BYTES])
            del held[:PART_BYTES]
    if held:
        yield bytes(held)
