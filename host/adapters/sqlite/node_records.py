"""What is one node's in the tables of SQLite; there is no index by node, so each page is a scan.

Pages are large, and a node is read so only when it moves.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

from host.adapters.sqlite.pieces import whole
from host.domain.accounts import Account, Charge
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.ports.bus import DuePlace, Record, RecordPlace, TopicPartition, WorkQueue
from host.ports.node_records import NodeJournal, NodeState, NodeWork
from host.ports.state import StateRecord
from host.ports.work import WorkRecord

_STATES = (
    f"SELECT states.key, version, {whole('states')}, due_at, consumer, partition, account, peer,"  # noqa: S608  # constants
    " started, origin FROM states LEFT JOIN flow_glance ON flow_glance.key = states.key"
    " WHERE states.node = ? AND account IS NOT NULL AND states.key > ?"
    " ORDER BY states.key LIMIT ?"
)
_WORK = (
    f"SELECT position, topic, partition, key, {whole('work')}, written_at, peer FROM work"  # noqa: S608  # constants
    " WHERE node = ? AND position > ? ORDER BY position LIMIT ?"
)
_JOURNALS = (
    "SELECT flow_id, account, peer FROM journals WHERE node = ? AND flow_id > ?"
    " ORDER BY flow_id LIMIT ?"
)
_LOGS = (
    f"SELECT partition, position, key, {whole('records')}, written_at FROM records"  # noqa: S608  # constants
    " WHERE topic = ? AND node = ? AND (written_at, partition, position) > (?, ?, ?)"
    " ORDER BY written_at, partition, position LIMIT ?"
)


def states_of_node(
    connection: sqlite3.Connection, node: ShortHash, after: str, limit: int
) -> Sequence[NodeState]:
    """See `NodeRecords.states_of_node`."""
    return [_state(node, row) for row in connection.execute(_STATES, (node, after, limit))]


def work_of_node(
    connection: sqlite3.Connection, node: ShortHash, after: int, limit: int
) -> Sequence[NodeWork]:
    """See `NodeRecords.work_of_node`."""
    return [
        NodeWork(
            record=WorkRecord(
                queue=WorkQueue(topic, partition, node),
                position=position,
                key=key,
                value=value,
                written_at=EpochMs(at),
            ),
            peer=peer,
        )
        for position, topic, partition, key, value, at, peer in connection.execute(
            _WORK, (node, after, limit)
        )
    ]


def journals_of_node(
    connection: sqlite3.Connection, node: ShortHash, after: str, limit: int
) -> Sequence[NodeJournal]:
    """See `NodeRecords.journals_of_node`."""
    return [
        NodeJournal(
            flow_id=FlowId(flow_id), charge=Charge(node=node, account=Account(account), peer=peer)
        )
        for flow_id, account, peer in connection.execute(_JOURNALS, (node, after, limit))
    ]


def logs_of_node(
    connection: sqlite3.Connection,
    node: ShortHash,
    topic: str,
    after: RecordPlace | None,
    limit: int,
) -> Sequence[Record]:
    """See `NodeRecords.logs_of_node`."""
    place = (-1, -1, -1) if after is None else (after.written_at, after.partition, after.offset)
    return [
        Record(
            source=TopicPartition(topic=topic, partition=partition),
            offset=offset,
            key=key,
            value=value,
            written_at=EpochMs(at),
            owner=node,
        )
        for partition, offset, key, value, at in connection.execute(
            _LOGS, (topic, node, *place, limit)
        )
    ]


def _state(node: ShortHash, row: Sequence[Any]) -> NodeState:
    key, version, value, due_at, group, partition, account, peer, started, origin = row
    return NodeState(
        state=StateRecord(
            key=key,
            version=version,
            value=value,
            due_at=due_at,
            place=None if group is None else DuePlace(group=group, partition=partition),
        ),
        charge=Charge(node=node, account=Account(account), peer=peer),
        started_at=started,
        origin=origin,
    )
