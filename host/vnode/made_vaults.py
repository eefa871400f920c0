"""Which virtual nodes have a vault: a `VaultRegister` in the cluster's database."""

from sqlalchemy import select, update

from host.db import Database
from host.domain.errors import NotFoundError
from host.domain.ids import ShortHash
from host.ports.clock import Clock
from host.vnode.tables import VIRTUAL_NODE

_MADE = VIRTUAL_NODE.c.vault_made_at
_SELECT = select(_MADE)
_UPDATE = update(VIRTUAL_NODE).where(_MADE.is_(None))


class MadeVaults:
    """Remembers for good that a node's vault was made, so that a lost one is never taken for new.

    Thread-safe; the processes of a host share it.
    """

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def is_made(self, short_hash: ShortHash) -> bool:
        with self._database.read() as connection:
            row = connection.execute(
                _SELECT.where(VIRTUAL_NODE.c.short_hash == short_hash)
            ).one_or_none()
        if row is None:
            raise NotFoundError(f"Virtual node {short_hash} not found.")
        return row.vault_made_at is not None

    def note_made(self, short_hash: ShortHash) -> None:
        with self._database.write() as connection:
            connection.execute(
                _UPDATE.where(VIRTUAL_NODE.c.short_hash == short_hash).values(
                    vault_made_at=self._clock.now_ms()
                )
            )
