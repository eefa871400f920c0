"""Writes one unit into SQLite tables, in as few statements as its checks allow."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from itertools import count, groupby
from typing import TypeAlias

from host.adapters.partitions import place_of, queue_of, target_of
from host.adapters.sqlite.accounts import SIZE, Changes
from host.adapters.sqlite.glances import delete_glance, write_glance
from host.adapters.sqlite.groups import check_fence
from host.adapters.sqlite.journals import forget
from host.adapters.sqlite.pieces import claim, forget_pieces
from host.adapters.sqlite.topics import drop, drop_before, has_gap
from host.domain.accounts import Account, Charge
from host.domain.ids import EpochMs, FlowId
from host.ports.bus import NewRecord
from host.ports.state import StateConflictError, StateWrite
from host.ports.units import Consumed, JournalRow, Unit
from host.ports.work import Done

_Owner: TypeAlias = tuple[str | None, str | None, str | None]
"""Node, account and peer of a row; all None if it is not charged."""
_BUS = Account.BUS.value
_WITH_GLANCES = frozenset({None, Account.STATUS.value})
"""Accounts of states that may have a glance: those of statuses."""
_DELETE_WORK = (
    "DELETE FROM work WHERE topic = ? AND partition = ? AND node = ? AND position {}"  # noqa: S608  # constants
    f" RETURNING peer, {SIZE}, pieces"
)
_DELETE_ONE = _DELETE_WORK.format("= ?")
_DELETE_SEVERAL = _DELETE_WORK.format("IN (SELECT value FROM json_each(?))")


class _Values:
    """The values of a unit's rows, in their order, as they are stored: whole, or staged."""

    def __init__(self, connection: sqlite3.Connection, staged: Mapping[int, int]) -> None:
        self._connection = connection
        self._staged = staged
        self._places = count()

    def next(self, value: bytes | None) -> tuple[bytes, int | None, int]:
        """The columns value, pieces and large_bytes of the next row; None for a deletion."""
        owner = self._staged.get(next(self._places))
        if owner is None:
            return value or b"", None, 0
        claim(self._connection, owner)
        return b"", owner, len(value or b"")


def write_unit(
    connection: sqlite3.Connection, unit: Unit, now: EpochMs, staged: Mapping[int, int]
) -> bool:
    """Write all of `unit` within the caller's transaction, which is rolled back on any error.

    Args:
        connection: of the transaction.
        unit: what is written.
        now: time of its records.
        staged: references to the values that `pieces.stage` has stored.

    Returns:
        Whether a large value or journal was forgotten and must be swept.

    Raises:
        FencedError: a partition has been reassigned.
        StateConflictError: a state, a waiting record, an offset, a record that is dropped or a
            journal row differs from the unit's expectation.
        StorageError: a staged value is no longer there.
    """
    values = _Values(connection, staged)
    for fence in unit.owned():
        check_fence(connection, fence)
    changes = Changes()
    has_forgotten = False
    for done in unit.done:
        has_forgotten |= _delete_work(connection, done, changes)
    has_forgotten |= _read_logs(connection, unit)
    for write in unit.states:
        has_forgotten |= _write_state(connection, write, values.next(write.value), changes)
    passed = {each.flow_id: each.charge for each in unit.passed}
    for _, rows in groupby(unit.journal, key=lambda row: row.flow_id):
        _append_journal(connection, list(rows), values, changes, passed)
    for flow_id, charge in passed.items():
        _pass_on(connection, flow_id, charge, changes)
    has_forgotten |= forget(connection, unit.forget, changes)
    for record in unit.records:
        if record.node is None:
            _publish(connection, record, values, now)
        else:
            _enqueue(connection, record, values, now, changes)
    changes.write(connection)
    return has_forgotten


def _read_logs(connection: sqlite3.Connection, unit: Unit) -> bool:
    """Move groups on, and delete records of logs; whether a staged value of one was forgotten."""
    has_forgotten = False
    for consumed in unit.consumed:
        _consume(connection, consumed)
        if consumed.is_dropped:
            end = consumed.start + consumed.count
            has_forgotten |= drop_before(connection, consumed.source, end)
    for dropped in unit.dropped:
        has_forgotten |= drop(connection, dropped)
    return has_forgotten


def _delete_work(connection: sqlite3.Connection, done: Done, changes: Changes) -> bool:
    """Delete records; returns whether a staged value of one was forgotten."""
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
    for peer, size, _ in deleted:
        changes.add((queue.node, _BUS, peer), -size, -1)
    return any(pieces is not None for _, _, pieces in deleted)


def _enqueue(
    connection: sqlite3.Connection,
    record: NewRecord,
    values: _Values,
    now: EpochMs,
    changes: Changes,
) -> None:
    queue = queue_of(record)
    changes.add((queue.node, _BUS, record.peer), record.size, 1)
    connection.execute(
        "INSERT INTO work (topic, partition, node, peer, key, written_at, value, pieces,"
        " large_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(queue.topic, queue.partition, queue.node, record.peer, record.key, now),
            *values.next(record.value),
        ),
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


def _write_state(
    connection: sqlite3.Connection,
    write: StateWrite,
    stored: tuple[bytes, int | None, int],
    changes: Changes,
) -> bool:
    """Write a state; returns whether a large value of it was forgotten."""
    if write.value is None or write.expected is None:
        return _delete_state(connection, write, changes)
    size, lasting = len(write.key.encode()) + len(write.value), int(write.due_at is None)
    group, partition = None, None
    if write.place is not None:
        place = place_of(write.place)
        group, partition = place.group, place.partition
    values = (*stored, write.due_at, group, partition)
    if write.expected == 0:
        bearer = _NOBODY if write.charge is None else _owner_of(write.charge)
        made = connection.execute(_INSERT_STATE, (*values, *bearer, write.key)).rowcount
        if made != 1:
            raise _conflict(connection, write)
        changes.add(bearer, size, 1, lasting)
        has_forgotten = False
    else:
        found = connection.execute(_STATE, (write.key, write.expected)).fetchone()
        if found is None:
            raise _conflict(connection, write)
        before, was_due_at, node, account, peer, pieces = found
        owner: _Owner = (node, account, peer)
        bearer = owner if write.charge is None else _owner_of(write.charge)
        was_lasting = int(was_due_at is None)
        if pieces is not None:
            forget_pieces(connection, pieces)
        if bearer == owner:
            changes.add(owner, size - before, 0, lasting - was_lasting)
            connection.execute(_UPDATE_STATE, (*values, write.key))
        else:
            changes.add(owner, -before, -1, -was_lasting)
            changes.add(bearer, size, 1, lasting)
            connection.execute(_GIVE_STATE, (*values, *bearer, write.key))
        has_forgotten = pieces is not None
    if write.glance is not None:
        write_glance(connection, write.key, write.glance)
    return has_forgotten


def _delete_state(connection: sqlite3.Connection, write: StateWrite, changes: Changes) -> bool:
    """Delete a state; returns whether a large value of it was forgotten."""
    # Without an expectation any version is deleted; `expected` 0 means that there must be none.
    if write.expected is None:
        deleted = connection.execute(_DELETE_ANY, (write.key,)).fetchall()
    else:
        deleted = connection.execute(_DELETE_STATE, (write.key, write.expected)).fetchall()
    if not deleted and write.expected:
        raise _conflict(connection, write)
    if write.expected == 0 and _version_of(connection, write.key):
        raise _conflict(connection, write)
    for before, was_due_at, node, account, peer, pieces in deleted:
        changes.add((node, account, peer), -before, -1, -int(was_due_at is None))
        if account in _WITH_GLANCES:
            delete_glance(connection, write.key)
        if pieces is not None:
            forget_pieces(connection, pieces)
            return True
    return False


def _version_of(connection: sqlite3.Connection, key: str) -> int:
    found = connection.execute("SELECT version FROM states WHERE key = ?", (key,)).fetchone()
    return int(found[0]) if found else 0


def _conflict(connection: sqlite3.Connection, write: StateWrite) -> StateConflictError:
    version = _version_of(connection, write.key)
    return StateConflictError(
        f"state {write.key!r} is at version {version}, expected {write.expected}"
    )


_FACTS = f"{SIZE}, due_at, node, account, peer, pieces"
"""Of a stored state. SQLite 3.40 answers `due_at IS NULL` wrongly in RETURNING of a deletion: the
table has an index of the rows where it is not."""
_STATE = f"SELECT {_FACTS} FROM states WHERE key = ? AND version = ?"  # noqa: S608  # constants
_DELETE_ANY = f"DELETE FROM states WHERE key = ? RETURNING {_FACTS}"  # noqa: S608  # constants
_DELETE_STATE = f"DELETE FROM states WHERE key = ? AND version = ? RETURNING {_FACTS}"  # noqa: S608  # constants
_NOBODY: _Owner = (None, None, None)
_INSERT_STATE = (
    "INSERT INTO states (value, pieces, large_bytes, due_at, consumer, partition, node, account,"
    " peer, key, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1) ON CONFLICT DO NOTHING"
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
    connection: sqlite3.Connection,
    rows: Sequence[JournalRow],
    values: _Values,
    changes: Changes,
    passed: dict[FlowId, Charge],
) -> None:
    """Append rows of one journal; one that begins here is charged to whom it is passed to."""
    flow_id, first, charge = rows[0].flow_id, rows[0].number, rows[-1].charge
    held: tuple[int, str | None, str | None, str | None] = (first, None, None, None)
    if first:
        held = connection.execute(_JOURNAL, (flow_id,)).fetchone()
    for expected, row in enumerate(rows, held[0]):
        if row.number != expected:
            raise _journal_conflict(row, expected)
    inserted = connection.executemany(
        "INSERT INTO journal (flow_id, number, value, pieces, large_bytes)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [(flow_id, row.number, *values.next(row.value)) for row in rows],
    ).rowcount
    if inserted != len(rows):
        found = connection.execute(_JOURNAL, (flow_id,)).fetchone()
        raise _journal_conflict(rows[0], found[0])
    size = sum(len(row.value) for row in rows)
    if held[1] is not None and flow_id in passed:
        owner = _owner_of(passed.pop(flow_id))
        ((whole,),) = connection.execute(
            "UPDATE journals SET bytes = bytes + ?, node = ?, account = ?, peer = ?"
            " WHERE flow_id = ? RETURNING bytes",
            (size, *owner, flow_id),
        ).fetchall()
        changes.add(held[1:], size - whole)
        changes.add(owner, whole)
    elif held[1] is not None:
        connection.execute(
            "UPDATE journals SET bytes = bytes + ? WHERE flow_id = ?", (size, flow_id)
        )
        changes.add(held[1:], size)
    elif charge is not None and not first:
        owner = _owner_of(passed.pop(flow_id, charge))
        connection.execute("INSERT INTO journals VALUES (?, ?, ?, ?, ?)", (flow_id, *owner, size))
        changes.add(owner, size)
    elif charge is not None:
        ((whole,),) = connection.execute(
            "INSERT INTO journals SELECT ?1, ?2, ?3, ?4, sum(length(value) + large_bytes)"
            " FROM journal WHERE flow_id = ?1 RETURNING bytes",
            (flow_id, *_owner_of(charge)),
        ).fetchall()
        changes.add(_owner_of(charge), whole)


_JOURNAL = (
    "SELECT coalesce((SELECT max(number) + 1 FROM journal WHERE flow_id = ?1), 0), node, account,"
    " peer FROM (SELECT 1) LEFT JOIN journals ON flow_id = ?1"
)


def _journal_conflict(row: JournalRow, expected: int) -> StateConflictError:
    return StateConflictError(
        f"journal of flow {row.flow_id}: row {row.number} written, expected {expected}"
    )


def _pass_on(
    connection: sqlite3.Connection, flow_id: FlowId, charge: Charge, changes: Changes
) -> None:
    found = connection.execute(
        "SELECT node, account, peer, bytes FROM journals WHERE flow_id = ?", (flow_id,)
    ).fetchone()
    if found is None:
        return
    *before, size = found
    owner = _owner_of(charge)
    changes.add((before[0], before[1], before[2]), -size)
    changes.add(owner, size)
    connection.execute(
        "UPDATE journals SET node = ?, account = ?, peer = ? WHERE flow_id = ?", (*owner, flow_id)
    )


def _publish(
    connection: sqlite3.Connection, record: NewRecord, values: _Values, now: EpochMs
) -> None:
    target = target_of(record)
    (after,) = connection.execute(
        "INSERT INTO tails VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET next = next + 1"
        " RETURNING next",
        (target.topic, target.partition),
    ).fetchone()
    connection.execute(
        "INSERT INTO records (topic, partition, position, key, written_at, node, value, pieces,"
        " large_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(target.topic, target.partition, after - 1, record.key, now, record.owner),
            *values.next(record.value),
        ),
    )
