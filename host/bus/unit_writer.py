"""Writes one unit into SQLite tables, in as few statements as its checks allow."""

import json
import sqlite3
from collections.abc import Sequence
from itertools import groupby

from host.bus.sqlite_glances import delete_glance, write_glance
from host.bus.sqlite_groups import check_fence
from host.bus.sqlite_topics import has_gap
from host.domain.ids import EpochMs, FlowId
from host.ports.bus import NewRecord
from host.ports.state import StateConflictError, StateWrite
from host.ports.units import Consumed, JournalRow, Passed, Unit
from host.ports.work import Done


def write_unit(connection: sqlite3.Connection, unit: Unit, now: EpochMs) -> None:
    """Write all of `unit` within the caller's transaction, which is rolled back on any error.

    Raises:
        FencedError: it is of a partition that was given to another owner.
        StateConflictError: a state, a waiting record, an offset or a journal row is not as the
            unit expects.
    """
    for fence in unit.owned():
        check_fence(connection, fence)
    for done in unit.done:
        _delete_work(connection, done)
    for consumed in unit.consumed:
        _consume(connection, consumed)
    for write in unit.states:
        _write_state(connection, write)
    for flow_id, rows in groupby(unit.journal, key=lambda row: row.flow_id):
        _append_journal(connection, flow_id, list(rows))
    for passed in unit.passed:
        _pass_on(connection, passed)
    for flow_id in unit.forget:
        connection.execute("DELETE FROM journal WHERE flow_id = ?", (flow_id,))
        connection.execute("DELETE FROM journals WHERE flow_id = ?", (flow_id,))
    for record in unit.records:
        if record.node is None:
            _publish(connection, record, now)
        else:
            _enqueue(connection, record, now)


def _delete_work(connection: sqlite3.Connection, done: Done) -> None:
    queue, positions = done.queue, done.positions
    place = (queue.topic, queue.partition, queue.node)
    sql = "DELETE FROM work WHERE topic = ? AND partition = ? AND node = ? AND position "
    if len(positions) == 1:
        deleted = connection.execute(sql + "= ?", (*place, positions[0])).rowcount
    else:
        several = "IN (SELECT value FROM json_each(?))"
        deleted = connection.execute(sql + several, (*place, json.dumps(positions))).rowcount
    if deleted != len(positions):
        raise StateConflictError(
            f"{len(positions)} records of {queue.topic}-{queue.partition} were to be deleted,"
            f" found {deleted} of positions {', '.join(map(str, positions[:10]))}"
        )


def _enqueue(connection: sqlite3.Connection, record: NewRecord, now: EpochMs) -> None:
    queue = record.queue
    connection.execute(
        "INSERT INTO work (topic, partition, node, peer, key, written_at, value)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (queue.topic, queue.partition, queue.node, record.peer, record.key, now, record.value),
    )


def _consume(connection: sqlite3.Connection, consumed: Consumed) -> None:
    source = consumed.source
    place = (consumed.group, source.topic, source.partition)
    after = consumed.start + consumed.count
    if consumed.start == 0:
        # The row may be missing.
        done = connection.execute(
            "INSERT INTO offsets VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET next = excluded.next WHERE next = 0",
            (*place, after),
        ).rowcount
    else:
        done = connection.execute(
            "UPDATE offsets SET next = ?"
            " WHERE consumer = ? AND topic = ? AND partition = ? AND next = ?",
            (after, *place, consumed.start),
        ).rowcount
    if done != 1:
        found = connection.execute(
            "SELECT next FROM offsets WHERE consumer = ? AND topic = ? AND partition = ?", place
        ).fetchone()
        offset = found[0] if found else 0
        if offset > consumed.start or not has_gap(connection, source, offset, consumed.start):
            raise StateConflictError(
                f"{consumed.group} is at offset {offset} of {source.topic}-{source.partition},"
                f" expected {consumed.start}"
            )
        connection.execute("INSERT OR REPLACE INTO offsets VALUES (?, ?, ?, ?)", (*place, after))


def _write_state(connection: sqlite3.Connection, write: StateWrite) -> None:
    place = (None, None) if write.place is None else (write.place.group, write.place.partition)
    charge = write.charge
    owner = (None, None, None) if charge is None else (charge.node, charge.account, charge.peer)
    if write.expected is None:
        connection.execute("DELETE FROM states WHERE key = ?", (write.key,))
        delete_glance(connection, write.key)
        return
    if write.value is None:
        sql = "DELETE FROM states WHERE key = ? AND version = ?"
        done = connection.execute(sql, (write.key, write.expected)).rowcount
    elif write.expected == 0:
        done = connection.execute(
            "INSERT INTO states (key, version, value, due_at, consumer, partition, node, account,"
            " peer) VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (write.key, write.value, write.due_at, *place, *owner),
        ).rowcount
    else:
        owned = ", node = ?, account = ?, peer = ?" if charge is not None else ""
        done = connection.execute(
            "UPDATE states SET version = version + 1, value = ?, due_at = ?, consumer = ?,"  # noqa: S608  # constants
            f" partition = ?{owned} WHERE key = ? AND version = ?",
            (
                write.value,
                write.due_at,
                *place,
                *(owner if charge is not None else ()),
                write.key,
                write.expected,
            ),
        ).rowcount
    if done == 1:
        if write.glance is not None:
            write_glance(connection, write.key, write.glance)
        elif write.value is None:
            delete_glance(connection, write.key)
        return
    found = connection.execute("SELECT version FROM states WHERE key = ?", (write.key,)).fetchone()
    version = found[0] if found else 0
    # Deleting what is not there, as expected, is no conflict.
    if version != write.expected or write.value is not None:
        raise StateConflictError(
            f"state {write.key!r} is at version {version}, expected {write.expected}"
        )


def _append_journal(
    connection: sqlite3.Connection, flow_id: FlowId, rows: Sequence[JournalRow]
) -> None:
    (length,) = connection.execute(
        "SELECT coalesce(max(number) + 1, 0) FROM journal WHERE flow_id = ?", (flow_id,)
    ).fetchone()
    for expected, row in enumerate(rows, length):
        if row.number != expected:
            raise StateConflictError(
                f"journal of flow {flow_id}: row {row.number} written, expected {expected}"
            )
        connection.execute("INSERT INTO journal VALUES (?, ?, ?)", (flow_id, row.number, row.value))
    charge, size = rows[-1].charge, sum(len(row.value) for row in rows)
    grown = connection.execute(
        "UPDATE journals SET bytes = bytes + ? WHERE flow_id = ?", (size, flow_id)
    ).rowcount
    if not grown and charge is not None:
        connection.execute(
            "INSERT INTO journals SELECT ?1, ?2, ?3, ?4, sum(length(value)) FROM journal"
            " WHERE flow_id = ?1",
            (flow_id, charge.node, charge.account, charge.peer),
        )


def _pass_on(connection: sqlite3.Connection, passed: Passed) -> None:
    charge = passed.charge
    connection.execute(
        "UPDATE journals SET node = ?, account = ?, peer = ? WHERE flow_id = ?",
        (charge.node, charge.account, charge.peer, passed.flow_id),
    )


def _publish(connection: sqlite3.Connection, record: NewRecord, now: EpochMs) -> None:
    target = record.target
    (after,) = connection.execute(
        "INSERT INTO tails VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET next = next + 1"
        " RETURNING next",
        (target.topic, target.partition),
    ).fetchone()
    connection.execute(
        "INSERT INTO records (topic, partition, position, key, value, written_at, node)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (target.topic, target.partition, after - 1, record.key, record.value, now, record.owner),
    )
