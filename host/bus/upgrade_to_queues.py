"""The step from schema version 2 to 3: work that stood in topics moves into queues of its nodes.

Version 2 did not say whose work a record is. Its topics, states and values are named here as they
were then, whatever they are called now.
"""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from host.bus.partitions import partition_of
from host.domain.errors import HostError
from host.domain.ids import HoldingIdentity
from host.domain.x500 import MemberX500Name
from host.ports.bus import NOBODY

_START, _OUT, _IN, _EVENT = (
    "flow.mapper.start",
    "flow.mapper.session.out",
    "flow.mapper.session.in",
    "flow.event",
)
_GROUP = "flow"
_TIMER = "timer/"


def move_to_queues(connection: sqlite3.Connection) -> None:
    """Move what was not consumed, in its order, and give due states and timers their places."""
    for topic in (_START, _OUT, _IN, _EVENT):
        _move(connection, topic)
        connection.execute("DELETE FROM records WHERE topic = ?", (topic,))
        connection.execute("DELETE FROM tails WHERE topic = ?", (topic,))
        connection.execute("DELETE FROM offsets WHERE topic = ?", (topic,))
    connection.create_function("partition_of", 1, _partition, deterministic=True)
    connection.execute(
        "UPDATE states SET consumer = ?, partition = partition_of(key) WHERE due_at IS NOT NULL",
        (_GROUP,),
    )
    for (key,) in connection.execute(
        "SELECT key FROM states WHERE key >= ? AND key < ?", (_TIMER, "timer0")
    ).fetchall():
        node = _node_of_flow(connection, key.removeprefix(_TIMER))
        value = json.dumps({"node": node}).encode()
        connection.execute("UPDATE states SET value = ? WHERE key = ?", (value, key))


def _move(connection: sqlite3.Connection, topic: str) -> None:
    rows = connection.execute(
        "SELECT r.partition, r.key, r.value, r.written_at FROM records r LEFT JOIN offsets o"
        " ON o.consumer = ?2 AND o.topic = ?1 AND o.partition = r.partition"
        " WHERE r.topic = ?1 AND r.position >= coalesce(o.next, 0)"
        " ORDER BY r.partition, r.position",
        (topic, _GROUP),
    )
    for partition, key, value, written_at in rows.fetchall():
        connection.execute(
            "INSERT INTO work (topic, partition, node, key, written_at, value)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (topic, partition, _node_of(connection, topic, key, value), key, written_at, value),
        )


def _partition(key: str) -> int:
    """Timers lie in the partition of their flow, other states in that of their own key."""
    return partition_of(key.removeprefix(_TIMER))


def _node_of(connection: sqlite3.Connection, topic: str, key: str, value: bytes) -> str:
    """Short hash of the node whose work a record is; empty when nobody can tell."""
    if topic == _START:
        return key[-12:]
    record = _read(value)
    for party in _parties(topic, record):
        node = _short_hash(party)
        if node != NOBODY:
            return node
    return NOBODY if topic == _OUT else _node_of_flow(connection, key)


def _parties(topic: str, record: Any) -> Iterator[Any]:
    """Where the record may name its node: a message's sender, an event's flow."""
    if topic == _OUT:
        yield record.get("source")
        return
    yield record.get("holding")
    yield record.get("target")
    message = record.get("message")
    yield message.get("target") if isinstance(message, dict) else None


def _node_of_flow(connection: sqlite3.Connection, flow_id: str) -> str:
    found = connection.execute(
        "SELECT value FROM states WHERE key = ?", (f"flow/{flow_id}",)
    ).fetchone()
    return _short_hash(_read(found[0]).get("holding")) if found else NOBODY


def _read(value: bytes) -> dict[str, Any]:
    """A stored JSON object; an empty one in place of what is damaged."""
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _short_hash(party: Any) -> str:
    try:
        name = MemberX500Name.parse(party["name"])
        return HoldingIdentity(x500_name=name, group_id=party["group_id"]).short_hash
    except (HostError, LookupError, TypeError, ValueError, AttributeError):
        return NOBODY
