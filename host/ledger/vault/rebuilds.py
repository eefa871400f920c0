"""How far the last rebuilds of a vault have come; statements only."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from host.domain.ids import EpochMs
from host.ledger.core.statuses import Status
from host.ledger.vault.tables import REBUILD, TRANSACTION

KEPT_MAX = 100
"""Rebuilds of a vault that are remembered; the oldest go first."""
_ROW = REBUILD.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilding:
    """A rebuild.

    Attributes:
        rebuild: its identifier.
        ended_at: None while it goes on.
        total: verified transactions when it was asked for; none of later ones is looked at.
        transactions: how many were looked at, of which were `changed` or `failed`.
    """

    rebuild: str
    started_at: EpochMs
    updated_at: EpochMs
    ended_at: EpochMs | None
    total: int
    transactions: int
    changed: int
    failed: int


def begin(connection: Connection, rebuild: str, *, until: int, now: EpochMs) -> None:
    """Remember that a rebuild of all verified transactions up to number `until` was asked for."""
    verified = (TRANSACTION.c.status == Status.VERIFIED.value) & (TRANSACTION.c.seq <= until)
    total = connection.execute(select(func.count()).select_from(TRANSACTION).where(verified))
    counts = {"total": total.scalar_one(), "transactions": 0, "changed": 0, "failed": 0}
    connection.execute(
        insert(REBUILD).values(rebuild=rebuild, started_at=now, updated_at=now, **counts)
    )
    newest = select(_ROW.rebuild).order_by(_ROW.started_at.desc(), _ROW.rebuild).limit(KEPT_MAX)
    connection.execute(delete(REBUILD).where(_ROW.rebuild.not_in(newest)))


def forget(connection: Connection, rebuild: str) -> None:
    """A rebuild was not begun after all."""
    connection.execute(delete(REBUILD).where(_ROW.rebuild == rebuild))


def tell(
    connection: Connection,
    rebuild: str,
    *,
    transactions: int,
    changed: int,
    failed: int,
    now: EpochMs,
) -> None:
    """Keep what is done: counts since the rebuild began, which may be told twice."""
    counts = {"transactions": transactions, "changed": changed, "failed": failed}
    connection.execute(
        update(REBUILD).where(_ROW.rebuild == rebuild).values(updated_at=now, **counts)
    )


def end(connection: Connection, rebuild: str, *, now: EpochMs) -> None:
    """All is done; the first time stays."""
    connection.execute(
        update(REBUILD)
        .where(_ROW.rebuild == rebuild, _ROW.ended_at.is_(None))
        .values(ended_at=now, updated_at=now)
    )


def newest(connection: Connection) -> Sequence[Rebuilding]:
    """The remembered rebuilds, the latest first."""
    rows = connection.execute(select(REBUILD).order_by(_ROW.started_at.desc(), _ROW.rebuild))
    return [_rebuilding(row) for row in rows]


def find(connection: Connection, rebuild: str) -> Rebuilding | None:
    row = connection.execute(select(REBUILD).where(_ROW.rebuild == rebuild)).one_or_none()
    return None if row is None else _rebuilding(row)


def _rebuilding(row: Row[tuple[object, ...]]) -> Rebuilding:
    return Rebuilding(**{column.name: getattr(row, column.name) for column in REBUILD.columns})
