"""Runs the mapper: assigns start requests and session messages to their flows.

Session messages that a step could not deliver itself (`host.flow.engine.local_delivery`) have a
topic of their own, keyed by the receiving session; those that other clusters sent have another one.
The link has proved who sent the latter, and that their target accepts them: they are mapped to
flows only.
"""

from collections.abc import Sequence

from host.domain.ids import EpochMs, FlowId
from host.domain.x500 import InvalidX500NameError
from host.flow.core.config import FIXED_DEFAULTS, FlowConfig
from host.flow.core.events import EventSink, MessageRefused
from host.flow.core.mapper import (
    Mapped,
    decode_state,
    map_inbound,
    map_start,
    session_key,
    start_state_key,
)
from host.flow.core.messages import (
    IN_TOPIC,
    OUT_TOPIC,
    SessionFailure,
    SessionMessage,
    decode_message,
    decode_start,
    encode,
)
from host.flow.core.session import refusal
from host.flow.core.taken import Taken
from host.flow.engine.deliveries import Delivery
from host.flow.engine.flow_ids import new_flow_id
from host.flow.engine.inbox_room import InboxRoom
from host.flow.engine.local_delivery import leaving
from host.ports.bus import NewRecord
from host.ports.clock import Clock, Entropy
from host.ports.live import Live
from host.ports.quotas import Quotas
from host.ports.routes import Hold, Link, Refused, Routes
from host.ports.state import StateRecord
from host.ports.units import StateStore, Unit


class Mapper:
    """Handles the mapper's topics. Each call commits the effects of its records together."""

    def __init__(
        self,
        *,
        store: StateStore,
        routes: Routes,
        clock: Clock,
        entropy: Entropy,
        events: EventSink,
        quotas: Quotas,
        config: Live[FlowConfig] = FIXED_DEFAULTS,
    ) -> None:
        self._store = store
        self._routes = routes
        self._clock = clock
        self._entropy = entropy
        self._events = events
        self._inbox = InboxRoom(store, quotas)
        self._config = config

    def start(self, taken: Taken) -> None:
        """Assign a flow id to a start request, once per key."""
        record = taken.records[0]
        key = start_state_key(record.key)
        stored = self._store.get(key)
        state = decode_state(stored.value) if stored else None
        mapped = map_start(state, decode_start(record.value), self._new_id())
        routed = []
        if mapped is not None:
            routed.append(Delivery(key=key, mapped=mapped, node=record.queue.node))
        self._commit(stored, routed, [], taken)

    def deliver(self, taken: Taken) -> None:
        """Route session messages of one receiving session."""
        key = session_key(taken.records[0].key)
        stored = self._store.get(key)
        state = decode_state(stored.value) if stored else None
        routed: list[Delivery] = []
        others: list[NewRecord] = []
        refused: list[MessageRefused] = []
        pending = 0
        for record in taken.records:
            message = decode_message(record.value)
            is_inbound = record.queue.topic == IN_TOPIC
            found = None if is_inbound else self._route(message, record.value)
            if found is None:
                found = self._inbox.refusal(message, len(record.value), pending=pending)
            if found is None:
                found = map_inbound(state, message, self._new_id())
            if isinstance(found, Mapped):
                state = found.created or state
                node = message.target.node()
                routed.append(Delivery(key=key, mapped=found, node=node, value=record.value))
                pending += len(record.value)
            elif isinstance(found, NewRecord):
                others.append(found)
            elif found is not None:
                refused.append(_refused(message, found))
                if not isinstance(message.payload, SessionFailure):
                    others.append(refusal_record(message, found))
        self._commit(stored, routed, others, taken)
        for event in refused:
            self._events(event)

    def _route(
        self, message: SessionMessage, value: bytes
    ) -> Mapped | SessionFailure | NewRecord | None:
        """Why a message cannot be delivered, or the record with which it leaves the cluster.

        None if its target is on this cluster and accepts it.
        """
        try:
            source, target = message.source.holding(), message.target.holding()
        except InvalidX500NameError as exc:
            return SessionFailure(code=exc.code, message=exc.message)
        found = self._routes.route(source, target)
        if isinstance(found, Link | Hold):
            return leaving(found, value, source.short_hash)
        refused = found if isinstance(found, Refused) else self._routes.accepts(source, target)
        return (
            None if refused is None else SessionFailure(code=refused.code, message=refused.message)
        )

    def _commit(
        self,
        stored: StateRecord | None,
        routed: Sequence[Delivery],
        others: Sequence[NewRecord],
        taken: Taken,
    ) -> None:
        """Commit events for flows, and outgoing and returned records."""
        due = EpochMs(self._clock.now_ms() + self._config.get().cleanup_ms)
        version = stored.version if stored else 0
        mappings = (each.mapping(expected=version, due=due) for each in routed)
        events = (each.event() for each in routed)
        unit = Unit(
            states=tuple(write for write in mappings if write is not None),
            records=(*(event for event in events if event is not None), *others),
        )
        taken.commit(self._store, unit)

    def _new_id(self) -> FlowId:
        return new_flow_id(self._entropy)


def refusal_record(message: SessionMessage, failure: SessionFailure) -> NewRecord:
    """The record that notifies the sender of `message` why there is no session for it."""
    answer = refusal(message, failure)
    return NewRecord(
        topic=OUT_TOPIC, key=answer.session_id, value=encode(answer), node=answer.source.node()
    )


def _refused(message: SessionMessage, failure: SessionFailure) -> MessageRefused:
    return MessageRefused(session_id=message.session_id, code=failure.code, reason=failure.message)
