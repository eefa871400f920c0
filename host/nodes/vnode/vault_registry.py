"""Which virtual nodes have a vault, and each vault's newest known state, in the registers."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select, update

from host.database.database_notes import DatabaseNotes
from host.database.sql import Upsert
from host.domain.errors import NotFoundError
from host.domain.ids import ShortHash
from host.nodes.vnode.tables import AUDIT_END, VAULT_NOTE, VIRTUAL_NODE
from host.ports.clock import Clock
from host.ports.database import SqlDatabase

_MADE = VIRTUAL_NODE.c.vault_made_at
_SELECT = select(_MADE)
_UPDATE = update(VIRTUAL_NODE).where(_MADE.is_(None))
# Not the greatest: a log that was reset has been reported, and continues from there.
_NOTE_END = Upsert(table=AUDIT_END, replace=("seq", "hash"))


class MadeVaults(DatabaseNotes):
    """A `VaultRegister`: records which vaults were created, so that none is created twice.

    Thread-safe; the processes of a host share it.

    Args:
        database: the cluster's.
        clock: of the host.
        host: its name in the cluster, whose hosts have logs of their own; empty if it is alone.
    """

    def __init__(self, *, database: SqlDatabase, clock: Clock, host: str = "") -> None:
        super().__init__(database, VAULT_NOTE)
        self._clock = clock
        self._host = host

    def is_made(self, short_hash: ShortHash) -> bool:
        with self._database.read() as connection:
            row = connection.execute(
                _SELECT.where(VIRTUAL_NODE.c.short_hash == short_hash)
            ).one_or_none()
        if row is None:
            raise NotFoundError(
                f"Virtual node {short_hash} not found.", kind="virtual node", named=short_hash
            )
        return row.vault_made_at is not None

    def note_made(self, short_hash: ShortHash) -> None:
        note = _UPDATE.where(VIRTUAL_NODE.c.short_hash == short_hash)
        note = note.values(vault_made_at=self._clock.now_ms())
        self._database.transact(lambda connection: connection.execute(note))

    def audit_end(self, short_hash: ShortHash) -> tuple[int, str] | None:
        """Number and hash of the newest entry that the node's log here is known to have."""
        statement = select(AUDIT_END.c.seq, AUDIT_END.c.hash).where(
            AUDIT_END.c.short_hash == short_hash, AUDIT_END.c.host == self._host
        )
        with self._database.read() as connection:
            row = connection.execute(statement).one_or_none()
        return None if row is None else (row.seq, row.hash)

    def note_audit_ends(self, ends: Mapping[ShortHash, tuple[int, str]]) -> None:
        """Store which entries are synced to disk."""
        if not ends:
            return
        rows = [
            {"short_hash": node, "host": self._host, "seq": seq, "hash": digest}
            for node, (seq, digest) in ends.items()
        ]
        self._database.transact(lambda connection: _NOTE_END.run(connection, rows))

    def audited(self) -> Sequence[ShortHash]:
        """The nodes whose audit log here is known to have entries."""
        statement = select(AUDIT_END.c.short_hash).where(AUDIT_END.c.host == self._host)
        with self._database.read() as connection:
            return [ShortHash(row.short_hash) for row in connection.execute(statement)]

    def made(self) -> Sequence[ShortHash]:
        """The nodes whose vault was created."""
        statement = select(VIRTUAL_NODE.c.short_hash).where(_MADE.is_not(None))
        with self._database.read() as connection:
            return [ShortHash(row.short_hash) for row in connection.execute(statement)]
