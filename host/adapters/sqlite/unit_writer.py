"""Writes one unit into SQLite tables, in as few statements as its checks allow."""

import json
import sqlite3
from collections.abc import Sequence
from itertools import groupby
from typing import TypeAlias

from host.adapters.partitions import place_of, queue_of, target_of
from host.adapters.sqlite.accounts import SIZE, STATE_SIZE, Changes
from host.adapters.sqlite.glances import delete_glance, write_glance
from host.adapters.sqlite.groups import check_fence
from host.adapters.sqlite.journals import forget
from host.adapters.sqlite.pieces import LARGE_BYTES, forget_pieces, put_pieces
from host.adapters.sqlite.topics import has_gap
from host.domain.accounts import Account, Charge
from host.domain.ids import EpochMs, FlowId
from host.ports.bus import NewRecord
from host.ports.state import StateConflictError, StateWrite
from host.ports.units import Consumed, JournalRow, Passed, Unit
from host.ports.work import Done

_Owner: TypeAlias = tuple[str | None, str | None, str | None]
"""Node, account and peer of a row; all None if it is not charged."""
_BUS = Account.BUS.value
_DELETE_WORK = (
    "DELETE FROM work WHERE topic = ? AND partition = ? AND node = ? AND position {}"  # noqa: S608  # constants
    f" RETURNING peer, {SIZE}"
)
_DELETE_ONE = _DELETE_WORK.format("= ?")
_DELETE_SEVERAL = _DELETE_WORK.format("IN (SELECT value FROM json_each(?))")


def write_unit(connection: sqlite3.Connection, unit: Unit, now: EpochMs) -> bool:
    """Write all of `unit` within the caller's transaction, which is rolled back on any error.

    Returns:
        Whether a large value or journal was forgotten and must be swept.

    Raises:
        FencedError: a partition has been reassigned.
        StateConflictError: a state, a waiting record, an offset or a journal row differs from the
            unit's expectation.
    """
    for fence in unit.owned():
        check_fence(connection, fence)
    changes = Changes()
    for done in unit.done:
        _delete_work(connection, done, changes)
    for consumed in unit.consumed:
        _consume(connection, consumed)
    has_forgotten = bool(unit.forget)
    for write in unit.states:
        has_forgotten |= _write_state(connection, write, changes)
    for flow_id, rows in groupby(unit.journal, key=lambda row: row.flow_id):
        _append_journal(connection, flow_id, list(rows), changes)
    for passed in unit.passed:
        _pass_on(connection, passed, changes)
    forget(connection, unit.forget, changes)
    for record in unit.records:
        if record.node is None:
            _publish(connection, record, now)
        else:
            _enqueue(connection, record, now, changes)
    changes.write(connection)
    return has_forgotten


def _delete_work(connection: sqlite3.Connection, done: Done, changes: Changes) -> None:
    queue, positions = done.queue, done.positions
    place = (queue.topic, queue.partition, queue.node)
    if len(positions) == 1:
        deleted = connection.execute(_DELETE_ONE, (*place, positions[0])).fetchall()
    else:
        several = (*place, json.dumps(positions))
        deleted = connection.execute(_DELETE_SEVERAL, several).fetchall()
    if len(deleted) != len(positions):
        raise StateConflictError(
            f"{len(positions)} records of {queue.topic}-{queue.partition} were to be deleted,"
            f" found {len(deleted)} of positions {', '.join(map(str, positions[:10]))}"
        )
    for peer, size in deleted:
        changes.add((queue.node, _BUS, peer), -size, -1)


def _enqueue(
    connection: sqlite3.Connection, record: NewRecord, now: EpochMs, changes: Changes
) -> None:
    queue = queue_of(record)
    changes.add((queue.node, _BUS, record.peer), record.size, 1)
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


def _write_state(connection: sqlite3.Connection, write: StateWrite, changes: Changes) -> bool:
    """Write a state; returns whether a large value of it was forgotten."""
    found = connection.execute(_STATE, (write.key,)).fetchone()
    version, before, was_lasting, node, account, peer, pieces = found or _NO_STATE
    if write.expected is not None and version != write.expected:
        raise StateConflictError(
            f"state {write.key!r} is at version {version}, expected {write.expected}"
        )
    owner: _Owner = (node, account, peer)
    if pieces is not None:
        forget_pieces(connection, pieces)
    if write.value is None or write.expected is None:
        if found is not None:
            changes.add(owner, -before, -1, -was_lasting)
            connection.execute("DELETE FROM states WHERE key = ?", (write.key,))
            delete_glance(connection, write.key)
        return pieces is not None
    size, lasting = len(write.key.encode()) + len(write.value), int(write.due_at is None)
    bearer = owner if write.charge is None else _owner_of(write.charge)
    group, partition = None, None
    if write.place is not None:
        place = place_of(write.place)
        group, partition = place.group, place.partition
    values = (*_stored(connection, write.value), write.due_at, group, partition)
    if found is not None and bearer == owner:
        changes.add(owner, size - before, 0, lasting - was_lasting)
        connection.execute(_UPDATE_STATE, (*values, write.key))
    else:
        changes.add(owner, -before, -1, -was_lasting)
        changes.add(bearer, size, 1, lasting)
        sql = _INSERT_STATE if found is None else _GIVE_STATE
        connection.execute(sql, (*values, *bearer, write.key))
    if write.glance is not None:
        write_glance(connection, write.key, write.glance)
    return pieces is not None


def _stored(connection: sqlite3.Connection, value: bytes) -> tuple[bytes, int | None, int]:
    """The value columns of a state's row: the whole value, or reference and size of its pieces."""
    if len(value) <= LARGE_BYTES:
        return value, None, 0
    return b"", put_pieces(connection, value), len(value)


_STATE = (
    f"SELECT version, {STATE_SIZE}, due_at IS NULL, node, account, peer, pieces FROM states"  # noqa: S608  # constants
    " WHERE key = ?"
)
_NO_STATE = (0, 0, 0, None, None, None, None)
_INSERT_STATE = (
    "INSERT INTO states (value, pieces, large_bytes, due_at, consumer, partition, node, account,"
    " peer, key, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)"
)
_SET = (
    "UPDATE states SET version = version + 1, value = ?, pieces = ?, large_bytes = ?, due_at = ?,"
    " consumer = ?, partition = ?{} WHERE key = ?"
)
_UPDATE_STATE = _SET.format("")
# Written only if they change: each write would also update an index.
_GIVE_STATE = _SET.format(", node = ?, account = ?, peer = ?")


def _owner_of(charge: Charge) -> _Owner:
    return charge.node, charge.account.value, charge.peer


def _append_journal(
    connection: sqlite3.Connection, flow_id: FlowId, rows: Sequence[JournalRow], changes: Changes
) -> None:
    held = connection.execute(_JOURNAL, (flow_id,)).fetchone()
    for expected, row in enumerate(rows, held[0]):
        if row.number != expected:
            raise StateConflictError(
                f"journal of flow {flow_id}: row {row.number} written, expected {expected}"
            )
        connection.execute("INSERT INTO journal VALUES (?, ?, ?)", (flow_id, row.number, row.value))
    charge, size = rows[-1].charge, sum(len(row.value) for row in rows)
    if held[1] is not None:
        connection.execute(
            "UPDATE journals SET bytes = bytes + ? WHERE flow_id = ?", (size, flow_id)
        )
        changes.add(held[1:], size)
    elif charge is not None:
        ((whole,),) = connection.execute(
            "INSERT INTO journals SELECT ?1, ?2, ?3, ?4, sum(length(value)) FROM journal"
            " WHERE flow_id = ?1 RETURNING bytes",
            (flow_id, *_owner_of(charge)),
        ).fetchall()
        changes.add(_owner_of(charge), whole)


_JOURNAL = (
    "SELECT coalesce((SELECT max(number) + 1 FROM journal WHERE flow_id = ?1), 0), node, account,"
    " peer FROM (SELECT 1) LEFT JOIN journals ON flow_id = ?1"
)


def _pass_on(connection: sqlite3.Connection, passed: Passed, changes: Changes) -> None:
    found = connection.execute(
        "SELECT node, account, peer, bytes FROM journals WHERE flow_id = ?", (passed.flow_id,)
    ).fetchone()
    if found is None:
        return
    *before, size = found
    owner = _owner_of(passed.charge)
    changes.add((before[0], before[1], before[2]), -size)
    changes.add(owner, size)
    connection.execute(
        "UPDATE journals SET node = ?, account = ?, peer = ? WHERE flow_id = ?",
        (*owner, passed.flow_id),
    )


def _publish(connection: sqlite3.Connection, record: NewRecord, now: EpochMs) -> None:
    target = target_of(record)
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
