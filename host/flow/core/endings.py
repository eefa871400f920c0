"""Ends flows of a node together: what follows from one that a client started, or all of them."""

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
"""Flows of one unit, and of one look at what runs."""


class Endings:
    """Ends flows that run. Each call is durable when it returns; flows end at their next step."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def end_all(self, node: ShortHash, reason: str = MAINTENANCE_REASON) -> int:
        """End every flow of a node that runs.

        Returns:
            How many.

        Raises:
            StorageError: the store cannot be used.
        """
        return self._end(node, self._running(node), reason)

    def mark(self, node: ShortHash, origin: FlowId, now: EpochMs) -> None:
        """Have what follows on `node` from a flow that a client started there end at its next step.

        What is on its way starts nothing any more. The mark stays as long as statuses do.

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
        with suppress(StateConflictError):  # it is marked already
            self._store.commit(Unit(states=(mark,)))

    def end_descendants(self, node: ShortHash, origin: FlowId, now: EpochMs) -> int:
        """End what follows on `node` from a flow that a client started there, now and later.

        Returns:
            How many flows of it run; where there is none, nothing is marked.

        Raises:
            StorageError: the store cannot be used.
        """
        found = self._running(node, origin)
        first = next(found, None)
        if first is None:
            return 0
        # Before the others are looked for: what comes to run meanwhile ends by itself.
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
    """The flows of a node that run, responders among them; a page of them is in memory at a time.

    Args:
        store: of the flow engine.
        node: whose flows.
        origin: only those that follow from this flow, which a client started.

    Raises:
        StorageError: the store cannot be read.
    """
    query = GlanceQuery(node=node, status=FlowStatusName.RUNNING, responders=True, origin=origin)
    while page := store.glances(query, _AT_ONCE):
        yield from page
        query = replace(query, before=page[-1].place)
