"""Ends flows of a node together: the descendants of a client-started flow, or all flows."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice

from host.domain.flow import FlowStatusName
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.flow.core.config import CORDA_DEFAULTS
from host.flow.core.hops import killed_key
from host.flow.core.messages import EVENT_TOPIC, KillFlow, due_place, encode
from host.ports.bus import NewRecord
from host.ports.glances import FlowGlance, GlanceQuery
from host.ports.state import StateConflictError, StateWrite
from host.ports.units import StateStore, Unit

ORPHAN_REASON = "The flow that this one follows from was killed."
MAINTENANCE_REASON = "Flow operations of the virtual node are not operational."
_AT_ONCE = 200
"""Flows of one unit, and of one page of running flows."""


class Endings:
    """Ends running flows. Each call is durable when it returns; flows end at their next step."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def end_all(self, node: ShortHash, reason: str = MAINTENANCE_REASON) -> int:
        """End every running flow of a node.

        Returns:
            How many.

        Raises:
            StorageError: the store cannot be used.
        """
        return self._end(node, self._running(node), reason)

    def mark(self, node: ShortHash, origin: FlowId, now: EpochMs) -> None:
        """Mark a client-started flow of `node`: its descendants there end at their next step.

        Messages in transit no longer start responders. The mark is kept as long as statuses.

        Raises:
            StorageError: the store cannot be used.
        """
        mark = StateWrite(
            key=(key := killed_key(node, origin)),
            value=b"",
            expected=0,
            due_at=EpochMs(now + CORDA_DEFAULTS.status_retention_ms),
            place=due_place(key),
        )
        with suppress(StateConflictError):  # already marked
            self._store.commit(Unit(states=(mark,)))

    def end_descendants(self, node: ShortHash, origin: FlowId, now: EpochMs) -> int:
        """End all present and future descendants on `node` of a flow that a client started there.

        Returns:
            The number of running descendants; if there are none, nothing is marked.

        Raises:
            StorageError: the store cannot be used.
        """
        found = self._running(node, origin)
        first = next(found, None)
        if first is None:
            return 0
        # Mark before listing the others: flows that start meanwhile then end by themselves.
        self.mark(node, origin, now)
        return self._end(node, chain((first,), found), ORPHAN_REASON)

    def _end(self, node: ShortHash, found: Iterator[FlowId], reason: str) -> int:
        kill, count = encode(KillFlow(reason=reason)), 0
        while flow_ids := list(islice(found, _AT_ONCE)):
            records = tuple(
                NewRecord(topic=EVENT_TOPIC, key=flow_id, value=kill, node=node)
                for flow_id in flow_ids
            )
            self._store.commit(Unit(records=records))
            count += len(records)
        return count

    def _running(self, node: ShortHash, origin: FlowId | None = None) -> Iterator[FlowId]:
        return (g.flow_id for g in running(self._store, node, origin) if g.flow_id is not None)


def running(
    store: StateStore, node: ShortHash, origin: FlowId | None = None
) -> Iterator[FlowGlance]:
    """The running flows of a node, including responders; one page at a time is in memory.

    Args:
        store: of the flow engine.
        node: the virtual node.
        origin: only descendants of this client-started flow.

    Raises:
        StorageError: the store cannot be read.
    """
    query = GlanceQuery(node=node, status=FlowStatusName.RUNNING, responders=True, origin=origin)
    while page := store.glances(query, _AT_ONCE):
        yield from page
        query = replace(query, before=page[-1].place)
