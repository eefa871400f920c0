"""The registry of virtual nodes: which exist, and in which states."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select, tuple_, update

from host.database.revision_cache import RevisionCache
from host.domain.errors import NotFoundError
from host.domain.ids import Checksum, EpochMs, HoldingIdentity, ShortHash
from host.domain.refused import shown
from host.domain.vnode import NodeState, OperationalStatus, Pauses, VirtualNode, state_of
from host.domain.x500 import InvalidX500NameError, MemberX500Name
from host.nodes.vnode.errors import NodeElsewhereError, VirtualNodeStateError
from host.nodes.vnode.tables import VIRTUAL_NODE
from host.ports.clock import Clock
from host.ports.database import SqlDatabase
from host.ports.locations import ALL_HERE, Locations, Place

_HOLDINGS_MAX = 16_384
"""Identities that are kept: lists of all nodes are read again with each change of one."""
_SELECT_NODES = select(VIRTUAL_NODE).order_by(VIRTUAL_NODE.c.created_at, VIRTUAL_NODE.c.short_hash)


class NodeRegistry:
    """The `VirtualNodes` port over the rows of the cluster's database. Thread-safe."""

    def __init__(
        self, database: SqlDatabase, flow_time: Clock, locations: Locations = ALL_HERE
    ) -> None:
        """Open the registry.

        Args:
            database: opened with this package's `SCHEMA`.
            flow_time: the clock of flows' timeouts, by which pauses are measured.
            locations: tell which nodes are on their way to or from another cluster.
        """
        self._database = database
        self._flow_time = flow_time
        self._locations = locations
        self._nodes = RevisionCache(database, self._read_node)

    def get(self, short_hash: ShortHash) -> VirtualNode | None:
        return self._nodes.get(short_hash)

    def _read_node(self, short_hash: ShortHash) -> VirtualNode | None:
        with self._database.read() as connection:
            row = connection.execute(node_of(short_hash)).one_or_none()
        return next(_nodes([] if row is None else [row]), None)

    def find(self, holding: HoldingIdentity) -> VirtualNode | None:
        node = self.get(holding.short_hash)
        # A short hash is 48 bits of a digest: another identity may share it.
        return node if node is not None and node.holding == holding else None

    @property
    def revision(self) -> int:
        """Grows with each change of what is registered, of nodes and of others."""
        return self._database.revision()

    def all(self) -> Sequence[VirtualNode]:
        """All virtual nodes, oldest first."""
        with self._database.read() as connection:
            return list(_nodes(connection.execute(_SELECT_NODES)))

    def cpis_of_group(self, group_id: str) -> Sequence[Checksum]:
        """The CPIs, each once, that nodes of a group are made of."""
        query = (
            select(VIRTUAL_NODE.c.cpi_checksum)
            .where(VIRTUAL_NODE.c.group_id == group_id)
            .distinct()
            .order_by(VIRTUAL_NODE.c.cpi_checksum)
        )
        with self._database.read() as connection:
            return [Checksum(text) for text in connection.execute(query).scalars()]

    def states(self) -> Mapping[NodeState, int]:
        """How many virtual nodes are in each state; states of none are left out."""
        is_paused = VIRTUAL_NODE.c.paused_at.is_not(None)
        status = VIRTUAL_NODE.c.flow_status
        query = select(is_paused, status, func.count()).group_by(is_paused, status)
        found: Counter[NodeState] = Counter()
        with self._database.read() as connection:
            for paused, text, count in connection.execute(query):
                active = OperationalStatus(text) is OperationalStatus.ACTIVE
                found[state_of(is_paused=bool(paused), is_active=active)] += count
        return found

    def newest(self, limit: int, before: tuple[int, str] | None = None) -> Sequence[VirtualNode]:
        """Virtual nodes, the latest first, at most `limit`.

        Args:
            limit: how many.
            before: only those before this time of creation and short hash.
        """
        place = (VIRTUAL_NODE.c.created_at, VIRTUAL_NODE.c.short_hash)
        query = select(VIRTUAL_NODE).order_by(*(column.desc() for column in place)).limit(limit)
        found: list[VirtualNode] = []
        with self._database.read() as connection:
            while len(found) < limit:
                page = query if before is None else query.where(tuple_(*place) < before)
                rows = connection.execute(page).all()
                found += _nodes(rows)
                if len(rows) < limit:
                    break
                before = rows[-1].created_at, rows[-1].short_hash
        return found[:limit]

    def set_state(self, short_hash: ShortHash, state: str) -> VirtualNode:
        """Set the state of a node, one of `NodeState`.

        Raises:
            VirtualNodeStateError: another state.
            NotFoundError: no such node.
            NodeElsewhereError: it leaves this cluster, arrives, or is on another one.
        """
        if state not in NodeState.__members__:
            raise VirtualNodeStateError(
                f"{shown(state)} is no state of a virtual node; states are {', '.join(NodeState)}"
            )
        wanted, now = NodeState(state), self._flow_time.now_ms()

        def change(connection: Connection) -> VirtualNode:
            # In the transaction: else the node might leave, or an upgrade begin, meanwhile.
            place = self._locations.place(short_hash)
            if place is not Place.HERE:
                raise NodeElsewhereError(
                    f"Virtual node {short_hash} is {place}: its state cannot be changed here."
                )
            return self._change_state(connection, short_hash, wanted, now)

        return self._database.transact(change)

    def _change_state(
        self, connection: Connection, short_hash: ShortHash, state: NodeState, now: EpochMs
    ) -> VirtualNode:
        node = next(_nodes(connection.execute(node_of(short_hash))), None)
        if node is None:
            raise node_not_found(short_hash)
        changed = with_state(node, state, now)
        connection.execute(
            update(VIRTUAL_NODE)
            .where(VIRTUAL_NODE.c.short_hash == short_hash)
            .values(state_columns(changed))
        )
        return changed


def node_not_found(short_hash: ShortHash) -> NotFoundError:
    return NotFoundError(
        f"Virtual node {short_hash} not found.", kind="virtual node", named=short_hash
    )


def with_state(node: VirtualNode, state: NodeState, now: EpochMs) -> VirtualNode:
    """`node` in another state, from `now` of flow time on."""
    is_off = state is NodeState.MAINTENANCE
    status = OperationalStatus.INACTIVE if is_off else OperationalStatus.ACTIVE
    is_paused = state is NodeState.PAUSED
    return replace(
        node,
        flow_p2p_status=status,
        flow_start_status=status,
        flow_status=status,
        vault_db_status=status,
        pauses=node.pauses.begun(now) if is_paused else node.pauses.ended(now),
    )


def node_of(short_hash: ShortHash) -> Select[Any]:
    """The query for one node's row."""
    return _SELECT_NODES.where(VIRTUAL_NODE.c.short_hash == short_hash)


def values_of(node: VirtualNode) -> dict[str, object]:
    """A node's row."""
    return {
        "short_hash": node.holding.short_hash,
        "x500_name": str(node.holding.x500_name),
        "group_id": node.holding.group_id,
        "cpi_checksum": node.cpi_checksum,
        "granted_capabilities": json.dumps(node.granted_capabilities),
        "created_at": node.created_at,
        **state_columns(node),
    }


def state_columns(node: VirtualNode) -> dict[str, object]:
    """The columns of a node's row that its state decides."""
    return {
        "flow_p2p_status": node.flow_p2p_status.value,
        "flow_start_status": node.flow_start_status.value,
        "flow_status": node.flow_status.value,
        "vault_db_status": node.vault_db_status.value,
        "paused_at": node.pauses.since,
        "pause_ended_at": node.pauses.ended_at,
        "paused_ms": node.pauses.total_ms,
    }


def _nodes(rows: Iterable[Row[Any]]) -> Iterator[VirtualNode]:
    """The nodes of rows, without those whose name only an earlier release accepted.

    A host logs these when it starts (`host.nodes.vnode.name_forms`); they must not hide others.
    """
    for row in rows:
        with suppress(InvalidX500NameError):
            yield _node(row)


@lru_cache(maxsize=_HOLDINGS_MAX)
def _holding(name: str, group_id: str) -> HoldingIdentity:
    """An identity never changes, and parsing its name is most of the cost of reading a node."""
    return HoldingIdentity(x500_name=MemberX500Name.parse(name), group_id=group_id)


def _node(row: Row[Any]) -> VirtualNode:
    return VirtualNode(
        holding=_holding(row.x500_name, row.group_id),
        cpi_checksum=Checksum(row.cpi_checksum),
        granted_capabilities=tuple(json.loads(row.granted_capabilities)),
        flow_p2p_status=OperationalStatus(row.flow_p2p_status),
        flow_start_status=OperationalStatus(row.flow_start_status),
        flow_status=OperationalStatus(row.flow_status),
        vault_db_status=OperationalStatus(row.vault_db_status),
        pauses=Pauses(
            since=None if row.paused_at is None else EpochMs(row.paused_at),
            ended_at=EpochMs(row.pause_ended_at),
            total_ms=row.paused_ms,
        ),
        created_at=EpochMs(row.created_at),
    )
