"""Delivery of session messages within the step that sends them.

A message to a flow of this cluster needs no commit of its own: its event is written by the unit of
the step that sends it, and so is the record with which a message leaves to another cluster. What
cannot be delivered so (its target refuses it, its node has no room, its session is unknown) is left
to the mapper, which answers it.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from host.domain.ids import EpochMs, ShortHash
from host.domain.x500 import InvalidX500NameError
from host.flow.core.config import FlowConfig
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.mapper import Mapped, MapperState, decode_state, map_inbound, session_key
from host.flow.core.messages import OUT_TOPIC, P2P_OUT_TOPIC, Sent, SessionMessage
from host.flow.engine.deliveries import Delivery
from host.flow.engine.flow_ids import new_flow_id
from host.flow.engine.inbox_room import InboxRoom
from host.ports.bus import NewRecord
from host.ports.clock import Entropy
from host.ports.live import Live
from host.ports.quotas import Quotas
from host.ports.routes import Here, Hold, Link, Routes
from host.ports.state import StateRecord, StateWrite
from host.ports.units import StateStore


def leaving(route: Link | Hold, value: bytes, source: ShortHash) -> NewRecord:
    """The record with which a session message leaves to another cluster."""
    return NewRecord(topic=P2P_OUT_TOPIC, key=route.pair, value=value, node=source)


@dataclass(frozen=True, slots=True)
class Delivered:
    """The writes of a step's unit for its messages."""

    states: tuple[StateWrite, ...] = ()
    records: tuple[NewRecord, ...] = ()


class LocalDelivery:
    """Thread-safe."""

    def __init__(
        self,
        *,
        store: StateStore,
        routes: Routes,
        entropy: Entropy,
        quotas: Quotas,
        config: Live[FlowConfig],
    ) -> None:
        self._store = store
        self._routes = routes
        self._entropy = entropy
        self._inbox = InboxRoom(store, quotas)
        self._config = config

    def deliver(self, sent: Sequence[Sent], source: ShortHash, now: EpochMs) -> Delivered:
        """Writes that deliver messages, or hand them to the mapper, in their order.

        Once a message of a session is left to the mapper, the later ones are, too.

        Args:
            sent: at least one message.
            source: the node that sends them.
            now: time of day.

        Raises:
            StorageError: the store cannot be read.
        """
        stored = self._store.get_many({session_key(each.message.session_id) for each in sent})
        step = _Step(stored)
        for each in sent:
            found = self._delivery(each, step, source)
            if isinstance(found, Delivery):
                step.add(found, due=EpochMs(now + self._config.get().cleanup_ms))
            elif found is not None:
                step.records.append(found)
            else:
                step.leave(each, source)
        return Delivered(tuple(step.states), tuple(step.records))

    def _delivery(
        self, sent: Sent, step: "_Step", source: ShortHash
    ) -> Delivery | NewRecord | None:
        """The delivery of a message, or the record with which it leaves; None: the mapper's."""
        message, key = sent.message, session_key(sent.message.session_id)
        if key in step.left:
            return None
        # What is wrong with one message is no failure of the step.
        with suppress(FlowRecordDamagedError, InvalidX500NameError):
            own, peer = message.source.holding(), message.target.holding()
            route = self._routes.route(own, peer)
            if isinstance(route, Link | Hold):
                return leaving(route, sent.value, source)
            is_taken = isinstance(route, Here) and self._routes.accepts(own, peer) is None
            if is_taken and self._has_room(sent, step):
                mapped = self._map(message, step.mapping(key))
                if mapped is not None:
                    node = message.target.node()
                    return Delivery(key=key, mapped=mapped, node=node, value=sent.value)
        return None

    def _has_room(self, sent: Sent, step: "_Step") -> bool:
        pending = step.pending.get(sent.message.target.node(), 0)
        return self._inbox.excess(sent.message, len(sent.value), pending=pending) is None

    def _map(self, message: SessionMessage, state: MapperState | None) -> Mapped | None:
        found = map_inbound(state, message, new_flow_id(self._entropy))
        return found if isinstance(found, Mapped) else None


class _Step:
    """Mutable: the deliveries of one unit so far."""

    def __init__(self, stored: Mapping[str, StateRecord]) -> None:
        self._stored = stored
        self._created: dict[str, MapperState] = {}
        self.states: list[StateWrite] = []
        self.records: list[NewRecord] = []
        self.left: set[str] = set()
        self.pending: dict[ShortHash, int] = {}

    def mapping(self, key: str) -> MapperState | None:
        """The mapping of a session, stored or created by this unit.

        Raises:
            FlowRecordDamagedError: it cannot be read.
        """
        stored = self._stored.get(key)
        return self._created.get(key) or (None if stored is None else decode_state(stored.value))

    def leave(self, sent: Sent, source: ShortHash) -> None:
        """Hand a message to the mapper."""
        self.left.add(session_key(sent.message.session_id))
        self.records.append(
            NewRecord(topic=OUT_TOPIC, key=sent.message.session_id, value=sent.value, node=source)
        )

    def add(self, delivery: Delivery, *, due: EpochMs) -> None:
        """Deliver a message."""
        mapping, event = delivery.mapping(expected=0, due=due), delivery.event()
        if mapping is not None and delivery.mapped.created is not None:
            self._created[delivery.key] = delivery.mapped.created
            self.states.append(mapping)
        if event is not None:
            self.records.append(event)
            self.pending[delivery.node] = self.pending.get(delivery.node, 0) + len(event.value)
