"""Runs the mapper: assigns start requests and session messages to their flows.

Outgoing session messages have a topic of their own, keyed by the receiving session. This is the
only place where session messages leave the cluster, if their target is elsewhere.
"""

from host.domain.accounts import Account, Charge
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.domain.x500 import InvalidX500NameError
from host.flow.core.config import FIXED_DEFAULTS, FlowConfig
from host.flow.core.events import EventSink, MessageRefused
from host.flow.core.mapper import (
    Mapped,
    decode_state,
    encode_state,
    map_inbound,
    map_start,
    session_key,
    start_state_key,
)
from host.flow.core.messages import (
    EVENT_TOPIC,
    OUT_TOPIC,
    P2P_OUT_TOPIC,
    FlowEvent,
    Respond,
    SessionFailure,
    SessionMessage,
    decode_message,
    decode_start,
    due_place,
    encode,
)
from host.flow.core.session import refusal
from host.flow.core.taken import Taken
from host.flow.engine.flow_ids import new_flow_id
from host.flow.engine.inbox_room import InboxRoom
from host.ports.bus import NewRecord
from host.ports.clock import Clock, Entropy
from host.ports.live import Live
from host.ports.quotas import Quotas
from host.ports.routes import Hold, Link, Refused, Routes
from host.ports.state import StateRecord, StateWrite
from host.ports.units import StateStore, Unit


class Delivery:
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
        routed = [] if mapped is None else [(mapped, record.queue.node)]
        self._commit(key, stored, routed, [], taken)

    def deliver(self, taken: Taken) -> None:
        """Route session messages of one receiving session."""
        key = session_key(taken.records[0].key)
        stored = self._store.get(key)
        state = decode_state(stored.value) if stored else None
        routed: list[tuple[Mapped, ShortHash]] = []
        others: list[NewRecord] = []
        refused: list[MessageRefused] = []
        pending = 0
        for record in taken.records:
            message = decode_message(record.value)
            found = self._route(message, record.value)
            if found is None:
                found = self._inbox.refusal(message, len(record.value), pending=pending)
            if found is None:
                found = map_inbound(state, message, self._new_id())
            if isinstance(found, Mapped):
                state = found.created or state
                routed.append((found, message.target.node()))
                pending += len(record.value)
            elif isinstance(found, NewRecord):
                others.append(found)
            elif found is not None:
                refused.append(_refused(message, found))
                if not isinstance(message.payload, SessionFailure):
                    others.append(refusal_record(message, found))
        self._commit(key, stored, routed, others, taken)
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
            return NewRecord(
                topic=P2P_OUT_TOPIC, key=found.pair, value=value, node=source.short_hash
            )
        refused = found if isinstance(found, Refused) else self._routes.accepts(source, target)
        return (
            None if refused is None else SessionFailure(code=refused.code, message=refused.message)
        )

    def _commit(
        self,
        key: str,
        stored: StateRecord | None,
        routed: list[tuple[Mapped, ShortHash]],
        others: list[NewRecord],
        taken: Taken,
    ) -> None:
        """Commit records for flows, each with its node, and outgoing and returned records."""
        due = EpochMs(self._clock.now_ms() + self._config.get().cleanup_ms)
        version = stored.version if stored else 0
        states = tuple(
            StateWrite(
                key=key,
                value=encode_state(m.created),
                expected=version,
                due_at=due,
                place=due_place(key),
                charge=Charge(node=node, account=Account.BUS, peer=_sender(m.event)),
            )
            for m, node in routed
            if m.created is not None
        )
        events = [
            NewRecord(
                topic=EVENT_TOPIC,
                key=m.flow_id,
                value=encode(m.event),
                node=node,
                peer=_sender(m.event),
            )
            for m, node in routed
            if m.event is not None
        ]
        taken.commit(self._store, Unit(states=states, records=(*events, *others)))

    def _new_id(self) -> FlowId:
        return new_flow_id(self._entropy)


def refusal_record(message: SessionMessage, failure: SessionFailure) -> NewRecord:
    """The record that notifies the sender of `message` why there is no session for it."""
    answer = refusal(message, failure)
    return NewRecord(
        topic=OUT_TOPIC, key=answer.session_id, value=encode(answer), node=answer.source.node()
    )


def _sender(event: FlowEvent | None) -> ShortHash | None:
    """The node that caused an event, if any."""
    message = event.message if isinstance(event, Respond) else event
    return message.source.node() or None if isinstance(message, SessionMessage) else None


def _refused(message: SessionMessage, failure: SessionFailure) -> MessageRefused:
    return MessageRefused(session_id=message.session_id, code=failure.code, reason=failure.message)
