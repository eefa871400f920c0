"""What a flow store holds of one virtual node, page by page: for moves and exports.

Reads of a node that still works may miss what moves between them: its flows are paused first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from host.domain.accounts import Charge
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.ports.bus import Record, RecordPlace
from host.ports.state import StateRecord
from host.ports.work import WorkRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """A state that is charged to the node.

    `started_at` and `origin` are those of the glance of a status; see `GlanceWrite`.
    """

    state: StateRecord
    charge: Charge
    started_at: EpochMs | None = None
    origin: FlowId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeWork:
    """A record of one of the node's queues. `peer` is the node that caused it."""

    record: WorkRecord
    peer: ShortHash | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeJournal:
    """A journal that is charged to the node."""

    flow_id: FlowId
    charge: Charge


class NodeRecords(Protocol):
    """Reading side of what is a node's. Thread-safe."""

    def states_of_node(self, node: ShortHash, after: str, limit: int) -> Sequence[NodeState]:
        """States that are charged to the node, by key, of those after the key `after`."""
        ...

    def work_of_node(self, node: ShortHash, after: int, limit: int) -> Sequence[NodeWork]:
        """Records of the node's queues, in the order of positions, of those after `after`."""
        ...

    def journals_of_node(self, node: ShortHash, after: str, limit: int) -> Sequence[NodeJournal]:
        """Journals that are charged to the node, by flow id, of those after `after`."""
        ...

    def logs_of_node(
        self, node: ShortHash, topic: str, after: RecordPlace | None, limit: int
    ) -> Sequence[Record]:
        """Records of a log that are charged to the node, oldest first, of those after `after`."""
        ...
