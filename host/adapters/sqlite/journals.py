"""Deletion of journals: a large one is deleted in small portions.

SQLite visits every page that it frees, which blocks other commits: 0.5 seconds for a journal of 64
MiB. So the transaction that deletes a large journal only lists it in `forgotten`; separate
transactions delete its rows, and upkeep those that a killed process left. A forgotten journal is
charged to no account and is never read.
"""

import sqlite3
from collections.abc import Iterable

from host.adapters.sqlite.accounts import Changes
from host.adapters.sqlite.pieces import VALUE_BYTES_MIN
from host.domain.ids import FlowId

PORTION_BYTES = 1024 * 1024
"""Bytes that one transaction deletes, or one row if that is larger: about 6 ms."""
_ROWS_MAX = 1000


def forget(connection: sqlite3.Connection, flow_ids: Iterable[FlowId], changes: Changes) -> bool:
    """Discharge journals, and delete or list them, within the caller's transaction.

    Returns:
        Whether something may be left for a sweep: a listed journal, or pieces of large values.
    """
    room, is_left = PORTION_BYTES, False
    for flow_id in flow_ids:
        size = None
        for node, account, peer, size in connection.execute(
            "DELETE FROM journals WHERE flow_id = ? RETURNING node, account, peer, bytes",
            (flow_id,),
        ).fetchall():
            changes.add((node, account, peer), -size)
        if (size or 0) > room:
            connection.execute("INSERT OR IGNORE INTO forgotten VALUES (?)", (flow_id,))
            is_left = True
            continue
        deleted = connection.execute("DELETE FROM journal WHERE flow_id = ?", (flow_id,)).rowcount
        # The size of one that is charged to nobody is not known.
        is_left |= deleted > 0 and (size is None or size >= VALUE_BYTES_MIN)
        room -= size or 0
    return is_left


def sweep(connection: sqlite3.Connection) -> bool:
    """Delete a portion of the forgotten journals, within the caller's transaction.

    Returns:
        Whether there is more.
    """
    flow = connection.execute("SELECT flow_id FROM forgotten LIMIT 1").fetchone()
    if flow is None:
        return False
    rows = connection.execute(
        "SELECT number, length(value) FROM journal WHERE flow_id = ? ORDER BY number LIMIT ?",
        (*flow, _ROWS_MAX),
    ).fetchall()
    if not rows:
        connection.execute("DELETE FROM forgotten WHERE flow_id = ?", flow)
        return True
    size, last = 0, rows[0][0]
    for number, length in rows:
        size += length
        if size > PORTION_BYTES:
            break
        last = number
    connection.execute("DELETE FROM journal WHERE flow_id = ? AND number <= ?", (*flow, last))
    return True
