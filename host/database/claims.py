"""Claims: leases on rows of long-running work, each held by one process for a limited time.

A claim is valid for 30 seconds and is renewed while the work goes on; any process that finds an
expired claim may take the work over. The transaction that ends the work checks the claim, so that a
process that was merely slow cannot end work that another one has taken over.
"""

import threading
from abc import ABC, abstractmethod
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
    """Another process has taken over this work; the changes of this process were not stored."""

    code = "claim-lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimant:
    """A process that claims work.

    Attributes:
        place: its role among the processes of its cluster, such as `rest-0`; two processes never
            have the same place at once, so the claims of an earlier process of this place are
            abandoned.
        run: identifies this run of the process.
    """

    place: str
    run: str

    def __str__(self) -> str:
        return f"{self.place}/{self.run}"


def claim_columns() -> tuple[Column[str], Column[int]]:
    """The columns that a table of work needs; both are null while no process works on a row."""
    return (
        Column("claimed_by", String(CLAIMANT_CHARACTERS_MAX)),
        Column("claimed_until", BigInteger),
    )


class Claims:
    """The claims of one process on the rows of one table. Thread-safe.

    Args:
        database: where the table is.
        table: with `claim_columns` and a primary key of one column of text.
        is_unfinished: selects the rows whose work is still to be done.
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
        """Column values for a row that this process claims."""
        until = self._clock.now_ms() + CLAIM_MS
        return {"claimed_by": str(self._claimant), "claimed_until": until}

    def hold(self, key: str) -> None:
        """Renew the claim on a row from now on; the caller has written `values` to the row."""
        with self._lock:
            self._held.add(key)

    def let_go(self, key: str) -> None:
        """Stop renewing a claim: its work has ended, or others may take it over."""
        with self._lock:
            self._held.discard(key)

    def check(self, connection: Connection, key: str) -> None:
        """Refuse to end work that this process no longer holds, in the transaction that ends it.

        Raises:
            ClaimLostError: another process has claimed the work, or has ended it.
        """
        mine = update(self._table).where(self._key == key, self._is_unfinished, self._is_mine())
        if connection.execute(mine.values(self.values())).rowcount != 1:
            raise ClaimLostError(f"another process goes on with {self._table.name} {key}")

    def renew(self) -> None:
        """Renew all held claims.

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
        """Claim and hold all unfinished rows that no process works on; returns their keys.

        Args:
            of_earlier_runs: also the rows that earlier processes of this place had claimed; only
                when a process starts.

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


class ClaimedWork(ABC):
    """Work on the rows of one table, whose claims are `_claims`: any process goes on with it."""

    _claims: Claims

    @abstractmethod
    def _go_on(self, keys: Sequence[str]) -> None:
        """Go on with rows that were left unfinished; this process has claimed them."""

    def resume_interrupted(self) -> int:
        """Go on with work that no process works on, and with that of earlier runs of this process.

        Returns:
            How many rows. Call it once, before requests are served.

        Raises:
            StorageError: they cannot be claimed.
        """
        return self._take(of_earlier_runs=True)

    def renew(self) -> int:
        """Renew the claims of this process, and go on with work that others left unfinished.

        Call it every `RENEW_SECONDS`.

        Returns:
            How many rows of others.

        Raises:
            StorageError: claims cannot be stored.
        """
        self._claims.renew()
        return self._take(of_earlier_runs=False)

    def _take(self, *, of_earlier_runs: bool) -> int:
        taken = self._claims.take(of_earlier_runs=of_earlier_runs)
        if taken:
            self._go_on(taken)
        return len(taken)


RELEASED: dict[str, object] = {"claimed_by": None, "claimed_until": None}
"""Column values for a row whose work has ended."""
