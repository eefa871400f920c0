"""Assignments of consumer groups in SQLite tables. The caller holds a transaction."""

import sqlite3

from host.adapters.group_assignment import GroupAssignment, Heartbeat, Ownership, refuse_stale
from host.domain.ids import EpochMs
from host.ports.groups import Fence


def load_roster(connection: sqlite3.Connection, group: str) -> GroupAssignment:
    """The assignment of a group; empty if it has never had a member."""
    found = connection.execute("SELECT generation FROM groups WHERE name = ?", (group,)).fetchone()
    pulses = connection.execute(
        "SELECT member, beat_at, ttl_ms FROM members WHERE consumer = ?", (group,)
    )
    owners = connection.execute(
        "SELECT partition, member, epoch FROM owners WHERE consumer = ?", (group,)
    )
    return GroupAssignment(
        group=group,
        generation=found[0] if found else 0,
        pulses={m: Heartbeat(beat_at=EpochMs(at), ttl_ms=ttl) for m, at, ttl in pulses},
        owners={n: Ownership(member=m, epoch=e) for n, m, e in owners},
    )


def save_roster(
    connection: sqlite3.Connection, before: GroupAssignment, after: GroupAssignment
) -> None:
    """Write the differences."""
    group = after.group
    connection.executemany(
        "DELETE FROM members WHERE consumer = ? AND member = ?",
        [(group, name) for name in before.pulses.keys() - after.pulses.keys()],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?)",
        [
            (group, name, pulse.beat_at, pulse.ttl_ms)
            for name, pulse in after.pulses.items()
            if before.pulses.get(name) != pulse
        ],
    )
    if after.generation == before.generation:
        return
    connection.execute("INSERT OR REPLACE INTO groups VALUES (?, ?)", (group, after.generation))
    connection.executemany(
        "INSERT OR REPLACE INTO owners VALUES (?, ?, ?, ?)",
        [
            (group, number, owner.member, owner.epoch)
            for number, owner in after.owners.items()
            if before.owners.get(number) != owner
        ],
    )


def check_fence(connection: sqlite3.Connection, fence: Fence) -> None:
    """Refuse a fence whose holder no longer owns the partition.

    Raises:
        FencedError: it has been reassigned.
    """
    found = connection.execute(
        "SELECT epoch FROM owners WHERE consumer = ? AND partition = ?",
        (fence.group, fence.partition),
    ).fetchone()
    refuse_stale(fence, found[0] if found else 0)
