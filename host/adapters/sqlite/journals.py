"""Journals that are forgotten: a large one leaves the file in small portions.

SQLite visits every page that it frees, and nobody else can commit meanwhile: half a second for a
journal of 64 MiB. So one that is large is only named in `forgotten`, by the transaction that
forgets it; its rows go in transactions of their own, and what a killed process left goes with
upkeep. A forgotten journal counts to no account, and nobody reads it.
"""

import sqlite3
from collections.abc import Iterable

from host.adapters.sqlite.accounts import Changes
from host.domain.ids import FlowId

PORTION_BYTES = 1024 * 1024
"""Of one transaction, or one row if that is larger: about 6 ms."""
_ROWS_MAX = 1000


def forget(connection: sqlite3.Connection, flow_ids: Iterable[FlowId], changes: Changes) -> None:
    """Have journals counted no longer, and deleted or named, within the caller's transaction."""
    room = PORTION_BYTES
    for flow_id in flow_ids:
        size = 0
        for node, account, peer, size in connection.execute(
            "DELETE FROM journals WHERE flow_id = ? RETURNING node, account, peer, bytes",
            (flow_id,),
        ).fetchall():
            changes.add((node, account, peer), -size)
        if size > room:
            connection.execute("INSERT OR IGNORE INTO forgotten VALUES (?)", (flow_id,))
        else:
            connection.execute("DELETE FROM journal WHERE flow_id = ?", (flow_id,))
            room -= size


def sweep(connection: sqlite3.Connection) -> bool:
    """Delete a portion of what is forgotten, within the caller's transaction.

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
