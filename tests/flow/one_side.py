"""One flow on the real engine, whose peers are played by the test, message by message.

The engine handles starts and flow events; what the flow sends stays on the outgoing topic, where
the test reads it, and what peers send is put on the flow's topic.
"""

from typing import Any

from host.adapters.memory.store import MemoryStore
from host.domain.flow import FlowStatus
from host.domain.ids import EpochMs, FlowId
from host.flow.core.checkpoint import Checkpoint, decode_checkpoint
from host.flow.core.mapper import MapperState, encode_state, session_key
from host.flow.core.messages import (
    DEAD_LETTER_TOPIC,
    EVENT_TOPIC,
    OUT_TOPIC,
    START_TOPIC,
    Close,
    Data,
    InfoRequest,
    Init,
    Party,
    Payload,
    Respond,
    SessionFailure,
    SessionMessage,
    decode_message,
    due_place,
    encode,
    other_side,
)
from host.ports.bus import NewRecord
from host.ports.state import StateWrite
from host.ports.units import Unit
from tests.flow.network import ALICE, BOB, Flow, Network, Posted, holding
from tests.flow.queues import BOBS, event, waiting

OWN_TOPICS = (START_TOPIC, EVENT_TOPIC)
SESSION = "5e55-INITIATED"
_LATER = EpochMs(2_000_000_000_000)


class OneSide:
    """`flow` on Alice's node as an initiator, or on Bob's as a responder."""

    def __init__(self, flow: Flow, **options: Any) -> None:
        self.store = options.pop("store", None) or MemoryStore()
        flows = {"test.Initiator": flow, "test.Responder": flow}
        routes = Posted()
        self.network = Network(self.store, flows, **{"routes": routes, **options})
        routes.nodes = self.network.nodes
        self.ids: list[str] = []
        self._responds = False

    def start(self, body: Any = None) -> "OneSide":
        self.network.start(body)
        return self.pump()

    def respond(
        self, payload: Payload | Any = 1, *, require_close: bool = True, sequence: int = 1
    ) -> "OneSide":
        """Start the flow as a responder, by a session's first message."""
        self._responds, self.ids = True, [SESSION]
        init = Init(protocol="p", versions=(1,), require_close=require_close, context={})
        if isinstance(payload, InfoRequest):
            payload = InfoRequest(init=init)
        else:
            payload = Data(payload=str(payload), init=init)
        state = encode_state(MapperState(flow_id=FlowId("responder")))
        write = StateWrite(
            key=session_key(SESSION),
            value=state,
            expected=0,
            due_at=_LATER,
            place=due_place(SESSION),
        )
        record = Respond(message=self._message(0, sequence, payload))
        self._publish(event(EVENT_TOPIC, "responder", encode(record), BOBS), write)
        return self

    def data(self, *numbers: int, session: int = 0) -> "OneSide":
        """Data arrives under these sequence numbers; each payload is its number."""
        for number in numbers:
            self.arrives(number, Data(payload=str(number)), session=session)
        return self

    def closes(self, number: int, *, session: int = 0) -> "OneSide":
        return self.arrives(number, Close(), session=session)

    def fails(self, *, session: int = 0, message: str = "peer failed") -> "OneSide":
        return self.arrives(0, SessionFailure(code="FLOW_FAILED", message=message), session=session)

    def arrives(self, number: int, payload: Payload, *, session: int = 0) -> "OneSide":
        message = self._message(session, number, payload)
        node = message.target.node()
        self._publish(event(EVENT_TOPIC, self.flow_id, encode(message), node))
        return self

    def sent(self, session: int | None = None) -> list[str]:
        """Kinds of the messages sent so far, to one peer or to all: `data`, `close`, `error`..."""
        return [
            str(message.payload.__struct_config__.tag)
            for message in self.messages()
            if session is None or self.ids[session] == other_side(message.session_id)
        ]

    def messages(self) -> list[SessionMessage]:
        """All that were sent, session by session."""
        sent = sorted(waiting(self.store, OUT_TOPIC), key=lambda r: r.queue.partition)
        return [decode_message(record.value) for record in sent]

    def later(self, millis: int) -> "OneSide":
        self.network.clock.advance(millis)
        self.network.engine.timers.fire_due()
        return self.pump()

    def pump(self) -> "OneSide":
        """Handle starts and flow events until there are none that are due."""
        engine, worked = self.network.engine, True
        while worked:
            worked = False
            for source in engine.ready():
                if source.topic in OWN_TOPICS:
                    worked |= engine.process(source).worked
            for key in engine.asides.due(self.network.clock.now_ms()):
                if key.queue.topic in OWN_TOPICS:
                    worked |= engine.work(key).worked
            if self.is_running and not self._responds:
                self.ids = list(self.checkpoint.sessions)
        return self

    @property
    def status(self) -> FlowStatus:
        if self._responds:
            return self.network.bobs()[0]
        return self.network.alice()

    @property
    def flow_id(self) -> FlowId:
        if self._responds:
            return FlowId("responder")
        return self.status.flow_id or FlowId("")

    @property
    def checkpoint(self) -> Checkpoint:
        stored = self.store.get(f"flow/{self.flow_id}")
        assert stored is not None
        return decode_checkpoint(stored.value)

    @property
    def is_running(self) -> bool:
        return self.store.get(f"flow/{self.flow_id}") is not None

    @property
    def is_cleaned_up(self) -> bool:
        """The flow has left nothing but its status, and what the mapper forgets in its time."""
        left = [*self.store.scan("flow/"), *self.store.scan("timer/"), *self.store.scan("inbox/")]
        mapped = self.store.scan("session/")
        return not left and not self.store.journal(self.flow_id) and all(m.due_at for m in mapped)

    @property
    def dead_letters(self) -> int:
        return len(self.store.ready("operator", [DEAD_LETTER_TOPIC]))

    def _message(self, session: int, number: int, payload: Payload) -> SessionMessage:
        here, there = Party.of(holding(ALICE)), Party.of(holding(BOB))
        me, peer = (there, here) if self._responds else (here, there)
        return SessionMessage(
            session_id=self.ids[session], sequence=number, source=peer, target=me, payload=payload,
            version=None if self._responds else 1,
        )  # fmt: skip

    def _publish(self, record: NewRecord, *states: StateWrite) -> None:
        self.store.commit(Unit(records=(record,), states=states))
        self.pump()
