"""Which of the oldest entries of the administrative log are deleted."""

from dataclasses import dataclass

import sqlalchemy as sql

from host.domain.ids import EpochMs
from host.nodes.audit_log.administrative import acts
from host.nodes.audit_log.administrative.acts import Content
from host.nodes.audit_log.administrative.tables import ENTRIES

_DELETED_AT_ONCE_MAX = 5_000
_GAPS_MAX = 500
_SLACK = 20
"""Entries are deleted when there are 5% more than the limit."""
_SLACK_MIN = 8
"""Deleting adds an entry itself, which must not cause the next deletion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How many entries are kept; the oldest are deleted first.

    Attributes:
        entries_max: entries of refusals and of all acts except those on flows.
        flow_entries_max: entries of acts that start or end flows.
    """

    entries_max: int = 200_000
    flow_entries_max: int = 40_000


def last_to_go(connection: sql.Connection, most: int, *, is_flow: bool) -> int | None:
    """Number of the newest entry beyond the limit; None if there are too few to delete."""
    same = ENTRIES.c.is_flow.is_(is_flow)
    count = connection.execute(sql.select(sql.func.count()).select_from(ENTRIES).where(same))
    if int(count.scalar_one()) <= most + max(most // _SLACK, _SLACK_MIN):
        return None
    beyond = (
        sql.select(ENTRIES.c.seq).where(same).order_by(ENTRIES.c.seq.desc()).limit(1).offset(most)
    )
    found = connection.execute(beyond).scalar_one_or_none()
    return None if found is None else int(found)


def delete_oldest(
    connection: sql.Connection, last: int, *, is_flow: bool, now: EpochMs
) -> tuple[int, Content | None]:
    """Delete some of the oldest entries up to number `last`.

    Args:
        connection: of a transaction.
        last: number of the newest entry to delete.
        is_flow: whether only acts on flows are deleted.
        now: the time.

    Returns:
        How many entries, and the content of the entry about it; 0 and None if there are none.
    """
    which = ENTRIES.c.seq <= last
    if is_flow:
        which &= ENTRIES.c.is_flow.is_(True)
    oldest = sql.select(ENTRIES.c.seq, ENTRIES.c.hash).where(which).order_by(ENTRIES.c.seq)
    rows = connection.execute(oldest.limit(_DELETED_AT_ONCE_MAX)).all()
    gaps: list[tuple[int, int, str]] = []
    count = 0
    for row in rows:
        if gaps and gaps[-1][1] == row.seq - 1:
            gaps[-1] = (gaps[-1][0], row.seq, row.hash)
        elif len(gaps) < _GAPS_MAX:
            gaps.append((row.seq, row.seq, row.hash))
        else:
            break
        count += 1
    if not gaps:
        return 0, None
    end = gaps[-1][1]
    connection.execute(ENTRIES.delete().where(which, ENTRIES.c.seq <= end))
    if connection.execute(sql.select(ENTRIES.c.seq).where(ENTRIES.c.seq <= end).limit(1)).all():
        gaps_left = gaps
    else:
        # Entries that recorded older gaps may be among the deleted ones.
        gaps_left = [(0, end, gaps[-1][2])]
    return count, acts.pruned(gaps_left, count=count, at=now)
