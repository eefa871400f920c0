"""Claims: which process works on a row that takes long, and until when nobody else does.

A claim is for 30 seconds and renewed while the work goes on; whoever finds one that has run out may
take the work over. What ends the work checks the claim in its own transaction, so that a process
that was merely slow ends nothing that another one has taken over.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    String,
    Table,
    or_,
    select,
    update,
)

from host.domain.errors import UnavailableError
from host.domain.ids import EpochMs
from host.ports.clock import Clock
from host.ports.database import SqlDatabase

CLAIM_MS = 30_000
RENEW_SECONDS = 10.0
CLAIMANT_CHARACTERS_MAX = 160


class ClaimLostError(UnavailableError):
    """Another process has taken this work over; what this one did of it has not been stored."""

    code = "claim-lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimant:
    """A process that claims work.

    Attributes:
        place: what it is among the processes of its cluster, such as `rest-0`; no two processes
            have one place at once, so what an earlier one of this place claimed is abandoned.
        run: this run of it.
    """

    place: str
    run: str

    def __str__(self) -> str:
        return f"{self.place}/{self.run}"


def claim_columns() -> tuple[Column[str], Column[int]]:
    """The columns that a table of work needs; both null when nobody works on a row."""
    return (
        Column("claimed_by", String(CLAIMANT_CHARACTERS_MAX)),
        Column("claimed_until", BigInteger),
    )


class Claims:
    """The claims of one process on the rows of one table. Thread-safe.

    Args:
        database: where the table is.
        table: with `claim_columns` and a primary key of one column of text.
        is_unfinished: which rows are work that is to be done.
        claimant: this process.
        clock: the time that all processes of the cluster share.
    """

    def __init__(
        self,
        database: SqlDatabase,
        table: Table,
        *,
        is_unfinished: ColumnElement[bool],
        claimant: Claimant,
        clock: Clock,
    ) -> None:
        self._database = database
        self._table = table
        (self._key,) = table.primary_key.columns
        self._is_unfinished = is_unfinished
        self._claimant = claimant
        self._clock = clock
        self._lock = threading.Lock()
        self._held: set[str] = set()

    def values(self) -> dict[str, object]:
        """What a row gets that this process claims."""
        until = self._clock.now_ms() + CLAIM_MS
        return {"claimed_by": str(self._claimant), "claimed_until": until}

    def hold(self, key: str) -> None:
        """Renew the claim on a row from now on; it was given `values`."""
        with self._lock:
            self._held.add(key)

    def let_go(self, key: str) -> None:
        """Renew a claim no more: its work has ended, or others may take it over."""
        with self._lock:
            self._held.discard(key)

    def check(self, connection: Connection, key: str) -> None:
        """Refuse to end work that is not this process's any more, in the transaction that ends it.

        Raises:
            ClaimLostError: another process has claimed it, or has ended it.
        """
        mine = update(self._table).where(self._key == key, self._is_unfinished, self._is_mine())
        if connection.execute(mine.values(self.values())).rowcount != 1:
            raise ClaimLostError(f"another process goes on with {self._table.name} {key}")

    def renew(self) -> None:
        """Renew what is held.

        Raises:
            StorageError: it cannot be stored.
        """
        with self._lock:
            held = sorted(self._held)
        if not held:
            return
        mine = update(self._table).where(self._key.in_(held), self._is_unfinished, self._is_mine())
        self._database.transact(lambda connection: connection.execute(mine.values(self.values())))

    def take(self, *, of_earlier_runs: bool = False) -> Sequence[str]:
        """Claim, and hold, all unfinished rows that nobody works on; gives their keys.

        Args:
            of_earlier_runs: also what earlier processes of this place had claimed: only when a
                process starts.

        Raises:
            StorageError: it cannot be stored.
        """
        is_free = or_(self._table.c.claimed_until.is_(None), self._has_run_out())
        if of_earlier_runs:
            place = f"{self._claimant.place}/"
            is_free = or_(is_free, self._table.c.claimed_by.startswith(place, autoescape=True))
        query = select(self._key).where(self._is_unfinished, is_free).order_by(self._key)
        with self._database.read() as connection:
            if connection.execute(query.limit(1)).first() is None:
                return []

        def claim(connection: Connection) -> list[str]:
            keys = list(connection.execute(query).scalars())
            mine = update(self._table).where(self._key.in_(keys))
            connection.execute(mine.values(self.values()))
            return keys

        taken = self._database.transact(claim)
        with self._lock:
            self._held.update(taken)
        return taken

    def _is_mine(self) -> ColumnElement[bool]:
        return self._table.c.claimed_by == str(self._claimant)

    def _has_run_out(self) -> ColumnElement[bool]:
        return self._table.c.claimed_until < EpochMs(self._clock.now_ms())


RELEASED: dict[str, object] = {"claimed_by": None, "claimed_until": None}
"""What a row gets whose work has ended."""
