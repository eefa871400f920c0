"""The administrative log in the registers: one chain, extended under their writer lock.

An entry is bound to the one before by its hash, and carries a MAC under the host's key. When
entries are deleted, an entry `pruned` keeps their numbers and last hash, so that the chain can be
verified across the gap.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sql
import structlog

from host.domain.errors import HostError
from host.nodes.audit_log import chain
from host.nodes.audit_log.administrative import acts
from host.nodes.audit_log.administrative.acts import ActQuery, ActView, Content
from host.nodes.audit_log.administrative.begun_acts import BegunActs
from host.nodes.audit_log.administrative.floods import Count
from host.nodes.audit_log.administrative.pruning import Retention, delete_oldest, last_to_go
from host.nodes.audit_log.administrative.reading import (
    Reading,
    counts_of,
    last_of,
    page_of,
    parsed_head,
)
from host.nodes.audit_log.administrative.tables import ENTRIES, HEAD
from host.nodes.audit_log.head import NEWEST, HeadLine, is_genuine, line_bytes
from host.ports.clock import Clock
from host.ports.database import SqlDatabase
from host.ports.live import Fixed, Live

PRUNE_EVERY = 1_000
_log = structlog.get_logger("cordbox.administrative")
_OLD_HEAD = sql.select(HEAD.c.line, HEAD.c.counts)
_NEW_HEAD = (
    sql.update(HEAD)
    .where(HEAD.c.id == 1)
    .values(line=sql.bindparam("new_line"), counts=sql.bindparam("new_counts"))
)


class AdministrativeRegister:
    """The log's rows. Thread-safe; several processes may use the same log.

    Args:
        database: the registers.
        key: the host's, which authenticates entries.
        clock: the time of entries.
        retention: how much is kept.
    """

    def __init__(
        self,
        database: SqlDatabase,
        *,
        key: bytes,
        clock: Clock,
        retention: Live[Retention] | None = None,
    ) -> None:
        self._database = database
        self._key = key
        self._clock = clock
        self._retention = retention or Fixed(Retention())
        self._lock = threading.Lock()
        self._added = PRUNE_EVERY
        self._is_checked = False
        self._begun = BegunActs()

    def append(
        self, contents: Sequence[Content], counts: Sequence[Count] | None = None
    ) -> Sequence[int]:
        """Add entries, all or none.

        Args:
            contents: the contents of the entries.
            counts: of refusals, kept beside the log until an entry reports them; None: unchanged.

        Returns:
            Their numbers.

        Raises:
            StorageError: the registers cannot be written.
            StorageBusyError: another process holds the writer lock for too long.
        """
        with self._lock:
            numbers = self._database.transact(
                lambda connection: self._append(connection, contents, counts)
            )
            self._is_checked = True
            self._begun.remember(numbers, contents)
            self._added += len(contents)
            is_due = self._added >= PRUNE_EVERY
            self._added = 0 if is_due else self._added
        if is_due:
            try:
                self.prune()
            except HostError as error:
                _log.warning("administrative-log-not-pruned", code=error.code, reason=error.message)
        return numbers

    def counts(self) -> Sequence[Count]:
        """Refusals that an ended process counted and did not report in an entry."""
        with self._database.read() as connection:
            return counts_of(connection)

    def prune(self) -> int:
        """Delete the oldest entries beyond the limit, and add an entry about it.

        Returns:
            The number of deleted entries.

        Raises:
            StorageError: the registers cannot be written.
        """
        kept = self._retention.get()
        went = 0
        for is_flow, most in ((True, kept.flow_entries_max), (False, kept.entries_max)):
            newest = partial(last_to_go, most=most, is_flow=is_flow)
            with self._lock:
                last = self._database.transact(newest)
            while last is not None:
                # In portions, so that other writers do not wait long.
                delete = partial(self._delete, last=last, is_flow=is_flow)
                with self._lock:
                    deleted = self._database.transact(delete)
                went += deleted
                last = last if deleted else None
        return went

    def page(self, query: ActQuery, *, before: int | None, limit: int) -> Sequence[ActView]:
        """Acts and refusals, the newest first.

        Args:
            query: which.
            before: only those with a lower number.
            limit: maximum number of items.

        Raises:
            StorageError: the registers cannot be read.
        """
        with self._database.read() as connection:
            return page_of(connection, query, before=before, limit=limit)

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """A consistent view of the whole log for the duration of the block.

        Raises:
            StorageError: the registers cannot be read.
        """
        with self._database.read() as connection:
            yield Reading(connection)

    def _append(
        self,
        connection: sql.Connection,
        contents: Sequence[Content],
        counts: Sequence[Count] | None = None,
    ) -> Sequence[int]:
        old = connection.execute(_OLD_HEAD).one_or_none()
        head = None if old is None else parsed_head(old.line)
        if self._is_checked and head is not None:
            seq, digest = head.seq, head.hash
        else:
            seq, digest = last_of(connection)
            before = self._first_contents(head, seq, digest)
            seq, digest = self._insert(connection, before, seq, digest)
        first = seq + 1
        seq, digest = self._insert(connection, contents, seq, digest)
        line = line_bytes(NEWEST, seq=seq, digest=digest, boot="", key=self._key).decode().strip()
        if counts is not None:
            kept = msgspec.json.encode(counts).decode()
        else:
            kept = "[]" if old is None else old.counts
        if old is None:
            connection.execute(HEAD.insert().values(id=1, line=line, counts=kept))
        else:
            connection.execute(_NEW_HEAD, {"new_line": line, "new_counts": kept})
        return range(first, first + len(contents))

    def _first_contents(self, head: HeadLine | None, seq: int, digest: str) -> Sequence[Content]:
        """The entries to add before the first entry of this process."""
        now = self._clock.now_ms()
        contents: list[Content] = []
        if seq < 0:
            contents.append({"kind": acts.GENESIS, "at": now})
        if head is None or not is_genuine(head, NEWEST, self._key):
            is_new = head is None and seq < 0
            known = None if is_new else (-1 if head is None else head.seq, chain.NO_HASH)
        else:
            known = None if (head.seq, head.hash) == (seq, digest) else (head.seq, head.hash)
        if known is not None:
            contents.append(acts.recovery(head_seq=known[0], head_hash=known[1], at=now))
        return contents

    def _insert(
        self, connection: sql.Connection, contents: Sequence[Content], seq: int, digest: str
    ) -> tuple[int, str]:
        rows = []
        for content in contents:
            entry = chain.sealed(content, seq=seq + 1, previous=digest, key=self._key)
            seq, digest = seq + 1, str(entry["hash"])
            rows.append(_row(entry))
        ended = {row["of_seq"] for row in rows if row["kind"] == acts.OUTCOME}
        if ended:
            known = self._begun.of_flows(connection, ended)
            for row in rows:
                row["is_flow"] = row["is_flow"] or row["of_seq"] in known
        if rows:
            connection.execute(ENTRIES.insert(), rows)
        return seq, digest

    def _delete(self, connection: sql.Connection, last: int, *, is_flow: bool) -> int:
        """Delete some of the oldest entries up to number `last`, and add an entry about it."""
        now = self._clock.now_ms()
        count, content = delete_oldest(connection, last, is_flow=is_flow, now=now)
        if content is not None:
            self._append(connection, (content,))
        return count


def _row(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "seq": entry["seq"],
        "kind": entry["kind"],
        "at": entry["at"],
        "hash": entry["hash"],
        "of_seq": entry.get("of"),
        "user": entry.get("user"),
        "path": entry.get("path"),
        "is_flow": bool(entry.get("isFlow")),
        "entry": chain.canonical(entry).decode(),
    }
