"""The mapper's shell: gives start requests their flow, and session messages theirs.

Outgoing session messages stand on a topic of their own, keyed by the receiving session. Today
every counterparty lives on this host; a message for another one is refused to its sender.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from host.domain.ids import EpochMs, FlowId
from host.domain.vnode import OperationalStatus
from host.domain.x500 import InvalidX500NameError
from host.flow.config import CORDA_DEFAULTS, FlowConfig
from host.flow.events import EventSink, MessageRefused
from host.flow.mapper import (
    Mapped,
    decode_state,
    encode_state,
    map_inbound,
    map_start,
    session_key,
    start_state_key,
)
from host.flow.messages import (
    EVENT_TOPIC,
    OUT_TOPIC,
    Party,
    SessionFailure,
    SessionMessage,
    decode_message,
    decode_start,
    encode,
)
from host.flow.session import refusal
from host.ports.bus import NewRecord, Record
from host.ports.clock import Clock, Entropy
from host.ports.directory import VirtualNodes
from host.ports.state import StateRecord, StateWrite
from host.ports.units import Consumed, FlowStore, Unit


class Router(Protocol):
    """Decides where a party is reached."""

    def refuses(self, party: Party) -> SessionFailure | None:
        """Why `party` cannot be reached; None when it lives here."""
        ...


@dataclass(frozen=True, slots=True)
class LocalRouter:
    """Reaches the virtual nodes of this host."""

    vnodes: VirtualNodes

    def refuses(self, party: Party) -> SessionFailure | None:
        try:
            vnode = self.vnodes.find(party.holding())
        except InvalidX500NameError as exc:
            return SessionFailure(code=exc.code, message=exc.message)
        if vnode is None:
            return SessionFailure(
                code="counterparty-unknown",
                message=f"{party.name} has no virtual node in group {party.group_id}",
            )
        if vnode.flow_p2p_status is OperationalStatus.INACTIVE:
            return SessionFailure(
                code="counterparty-inactive", message=f"{party.name} takes no session messages"
            )
        return None


class Delivery:
    """Handles the mapper's topics. Each call commits its records' effects and offsets at once."""

    def __init__(
        self,
        *,
        store: FlowStore,
        router: Router,
        clock: Clock,
        entropy: Entropy,
        events: EventSink,
        config: FlowConfig = CORDA_DEFAULTS,
    ) -> None:
        self._store = store
        self._router = router
        self._clock = clock
        self._entropy = entropy
        self._events = events
        self._cleanup_ms = config.cleanup_ms

    def start(self, records: Sequence[Record], consumed: Consumed) -> None:
        """Give a start request its flow id, once per key. `records` share one key."""
        key = start_state_key(records[0].key)
        stored = self._store.get(key)
        state = decode_state(stored.value) if stored else None
        mapped = map_start(state, decode_start(records[0].value), self._new_id())
        self._commit(key, stored, [] if mapped is None else [mapped], [], consumed)

    def deliver(self, records: Sequence[Record], consumed: Consumed) -> None:
        """Route session messages of one receiving session."""
        key = session_key(records[0].key)
        stored = self._store.get(key)
        state = decode_state(stored.value) if stored else None
        routed: list[Mapped] = []
        replies: list[NewRecord] = []
        refused: list[MessageRefused] = []
        for record in records:
            message = decode_message(record.value)
            found: Mapped | SessionFailure | None = self._router.refuses(message.target)
            if found is None:
                found = map_inbound(state, message, self._new_id())
            if isinstance(found, Mapped):
                state = found.created or state
                routed.append(found)
            elif found is not None:
                refused.append(_refused(message, found))
                if not isinstance(message.payload, SessionFailure):
                    replies.append(refusal_record(message, found))
        self._commit(key, stored, routed, replies, consumed)
        for event in refused:
            self._events(event)

    def _commit(
        self,
        key: str,
        stored: StateRecord | None,
        routed: list[Mapped],
        replies: list[NewRecord],
        consumed: Consumed,
    ) -> None:
        due = EpochMs(self._clock.now_ms() + self._cleanup_ms)
        version = stored.version if stored else 0
        states = tuple(
            StateWrite(key=key, value=encode_state(m.created), expected=version, due_at=due)
            for m in routed
            if m.created is not None
        )
        events = [
            NewRecord(topic=EVENT_TOPIC, key=m.flow_id, value=encode(m.event))
            for m in routed
            if m.event is not None
        ]
        self._store.commit(Unit(states=states, records=(*events, *replies), consumed=(consumed,)))

    def _new_id(self) -> FlowId:
        return FlowId(str(uuid.UUID(bytes=self._entropy.random_bytes(16), version=4)))


def refusal_record(message: SessionMessage, failure: SessionFailure) -> NewRecord:
    """The record that tells the sender of `message` why it found no session."""
    answer = refusal(message, failure)
    return NewRecord(topic=OUT_TOPIC, key=answer.session_id, value=encode(answer))


def _refused(message: SessionMessage, failure: SessionFailure) -> MessageRefused:
    return MessageRefused(session_id=message.session_id, code=failure.code, reason=failure.message)
