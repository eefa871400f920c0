"""Sessions over a network that loses, repeats and reorders; what is lost is sent again later."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from host.adapters.memory.store import MemoryStore
from host.domain.ids import EpochMs
from host.flow.core.config import FlowConfig
from host.flow.core.messages import (
    EVENT_TOPIC,
    IN_TOPIC,
    OUT_TOPIC,
    START_TOPIC,
    SessionFailure,
    SessionMessage,
)
from host.flow.core.session import (
    Session,
    SessionStatus,
    ask_info,
    close,
    fail,
    is_readable,
    read,
    receive,
    send,
)
from host.ports.bus import NewRecord
from host.ports.units import Unit
from host.ports.work import Done
from tests.flow import durable_flows
from tests.flow.network import BOB, Flow, Network, Posted
from tests.flow.queues import event, waiting
from tests.flow.scripted import CallFailed, Guest
from tests.flow.test_flow_sessions import initiated, initiator
from tests.support.properties import examples

SMALL = FlowConfig(max_message_bytes=64 * 1024 + 4 * 3, max_payload_bytes=60)
"""Three characters in a message."""
S = SessionStatus
PAIRS = ("s0", "s1", "s2")
IDS = [side for s in PAIRS for side in (s, f"{s}-INITIATED")]
sides = st.sampled_from(IDS)


def other(session_id: str) -> str:
    first = session_id.removesuffix("-INITIATED")
    return f"{first}-INITIATED" if first == session_id else first


class Conversations(RuleBasedStateMachine):
    """Three sessions, both sides of each; the responder's side exists from the first message on."""

    @initialize(requires=st.lists(st.booleans(), min_size=3, max_size=3))
    def open(self, requires: list[bool]) -> None:
        self.now = 0
        self.requires = dict(zip(PAIRS, requires, strict=True))
        self.sessions = {
            s: initiator(id=s, require_close=required) for s, required in self.requires.items()
        }
        self.sent: dict[str, list[str]] = {i: [] for i in IDS}
        self.got: dict[str, list[str]] = {i: [] for i in IDS}
        self.wire: list[SessionMessage] = []
        self.carried: list[SessionMessage] = []
        self.over: set[str] = set()
        self.unborn: set[str] = set()
        self.to_blame: set[str] = set()

    def _keep(self, session: Session, outbox: tuple[SessionMessage, ...]) -> None:
        self.sessions[session.id] = session
        self.wire += outbox

    def _blame(self, session_id: str) -> None:
        """From now on an error of this session is no surprise."""
        self.to_blame.add(session_id.removesuffix("-INITIATED"))

    @rule(session_id=sides, payload=st.text("ab", max_size=12))
    def sends(self, session_id: str, payload: str) -> None:
        session = self.sessions.get(session_id)
        if session is None or session.status not in (S.CREATED, S.CONFIRMED):
            return
        peer = self.sessions.get(other(session_id))
        if peer is not None and peer.status not in (S.CREATED, S.CONFIRMED):
            self._blame(session_id)  # data for a side that has closed
        text = json.dumps(payload)
        change = send(session, text, SMALL)
        self.sent[session_id].append(text)
        self._keep(change.session, change.outbox)

    @rule(session_id=sides)
    def asks(self, session_id: str) -> None:
        if session_id in self.sessions:
            change = ask_info(self.sessions[session_id])
            self._keep(change.session, change.outbox)

    @rule(session_id=sides)
    def reads(self, session_id: str) -> None:
        session = self.sessions.get(session_id)
        if session is not None and session.inbox:
            self.sessions[session_id], text = read(session)
            self.got[session_id].append(text)

    @rule(session_id=sides)
    def closes(self, session_id: str) -> None:
        session = self.sessions.get(session_id)
        if session is None:
            return
        underway = self.sent[other(session_id)] != self.got[session_id]
        if underway:
            self._blame(session_id)  # closing on data that was not read, or not even delivered
        change = close(session)
        self._keep(change.session, change.outbox)

    @rule(session_id=sides)
    def fails(self, session_id: str) -> None:
        if session_id in self.sessions:
            self._blame(session_id)
            failure = SessionFailure(code="FLOW_FAILED", message=f"{session_id} failed")
            change = fail(self.sessions[session_id], failure)
            self._keep(change.session, change.outbox)

    @precondition(lambda self: self.wire)
    @rule(which=st.integers(min_value=0))
    def carries(self, which: int) -> None:
        message = self.wire.pop(which % len(self.wire))
        self.carried.append(message)
        self._take(message)

    @precondition(lambda self: self.carried)
    @rule(which=st.integers(min_value=0))
    def carries_again(self, which: int) -> None:
        self._take(self.carried[which % len(self.carried)])

    @rule(millis=st.integers(min_value=1, max_value=400))
    def waits(self, millis: int) -> None:
        """Time passes; a side whose session has expired fails, as its flow does."""
        self.now += millis
        for session in list(self.sessions.values()):
            if not session.status.is_over and session.expires_at <= self.now:
                self._blame(session.id)
                failure = SessionFailure(code="FLOW_FAILED", message="expired")
                change = fail(session, failure)
                self._keep(change.session, change.outbox)

    def _take(self, message: SessionMessage) -> None:
        session_id = message.session_id
        if session_id not in self.sessions:
            init = getattr(message.payload, "init", None)
            if isinstance(message.payload, SessionFailure):
                self.unborn.add(session_id)  # the mapper: no responder is started any more
            if session_id in self.unborn:
                return
            assert init is not None
            required = self.requires[session_id.removesuffix("-INITIATED")]
            born = initiated(id=session_id, require_close=required, last_heard=EpochMs(self.now))
            self.sessions[session_id] = born
        change = receive(self.sessions[session_id], message, EpochMs(self.now))
        self._keep(change.session, change.outbox)

    @invariant()
    def what_was_read_is_what_was_sent_in_order_and_whole(self) -> None:
        for session_id in getattr(self, "sessions", {}):
            seen = self.got[session_id]
            assert seen == self.sent[other(session_id)][: len(seen)]

    @invariant()
    def only_failures_closes_on_data_and_time_bring_errors(self) -> None:
        for session_id, session in getattr(self, "sessions", {}).items():
            if session.status is S.ERROR:
                assert session_id.removesuffix("-INITIATED") in self.to_blame
                assert session.failure is not None
                assert session.inbox == session.partial == session.early == ()

    @invariant()
    def what_is_over_stays_over(self) -> None:
        for session_id, session in getattr(self, "sessions", {}).items():
            assert session_id not in self.over or session.status.is_over
            if session.status.is_over:
                self.over.add(session_id)

    def teardown(self) -> None:
        """When everything has arrived, no side waits for one that is over."""
        while getattr(self, "wire", ()):
            self.carries(0)
        for session_id, session in getattr(self, "sessions", {}).items():
            peer = self.sessions.get(other(session_id))
            if session.status is S.ERROR and peer is not None:
                assert peer.status.is_over
            if session.status is S.CLOSED and not session.initiator and session.require_close:
                assert is_readable(peer) or peer.status.is_over


Conversations.TestCase.settings = settings(
    max_examples=examples(200), stateful_step_count=60, deadline=None
)


@pytest.mark.property
class TestConversations(Conversations.TestCase):  # type: ignore[name-defined,misc]
    pass


def busy(guest: Guest) -> str:
    """Three sessions at once, of which one fails, with payloads of many chunks."""
    sessions = [guest.open(BOB) for _ in range(3)]
    for number, session in enumerate(sessions):
        guest.send(session, number)
        guest.send(session, "x" * 40)
    first = guest.receive(*sessions[:2])
    outcomes = []
    try:
        outcomes.append(guest.receive(sessions[2]))
    except CallFailed as exc:
        outcomes.append(f"{exc.code}: {exc}")
    guest.send(sessions[0], "more")
    outcomes.append(guest.receive(sessions[0]))
    guest.close(*sessions[:2])
    return json.dumps([first, outcomes])


def obliging(guest: Guest) -> str:
    number, text = guest.receive(guest.session), guest.receive(guest.session)
    if number == 2:
        raise ValueError("not the third")
    guest.send(guest.session, f"{number}{text}")
    if number == 0:
        guest.send(guest.session, guest.receive(guest.session).upper())
    return "done"


class Weather:
    """A network in which outgoing messages are carried by the weather."""

    def __init__(self, flows: dict[str, Flow], seed: int) -> None:
        self._routes = Posted()
        self.network = Network(
            MemoryStore(),
            flows,
            config=FlowConfig(max_message_bytes=64 * 1024 + 4 * 3),
            routes=self._routes,
        )
        self._routes.nodes = self.network.nodes
        self.chance = random.Random(seed)  # the weather of a test
        self.air: list[NewRecord] = []

    def run(self, body: object = None) -> Network:
        self.network.start(body)
        self._work()
        while self.air or self.network.store.scan("timer/"):
            if self.air:
                self._carry()
            else:
                self.network.clock.advance(1_000)
                self.network.engine.timers.fire_due()
            self._work()
        return self.network

    def _work(self) -> None:
        engine, worked = self.network.engine, True
        while worked:
            worked = False
            for source in engine.ready():
                if source.topic in (START_TOPIC, EVENT_TOPIC, IN_TOPIC):
                    self._routes.is_carried = source.topic == IN_TOPIC
                    worked |= engine.process(source).worked
        for record in waiting(self.network.store, OUT_TOPIC):
            self.air.append(event(IN_TOPIC, record.key, record.value, record.queue.node))
            done = Done(queue=record.queue, positions=(record.position,))
            self.network.store.commit(Unit(done=(done,)))

    def _carry(self) -> None:
        """Some message arrives; often it stays in the air, to arrive once more."""
        at = self.chance.randrange(len(self.air))
        record = self.air[at]
        if self.chance.random() < 0.7:
            del self.air[at]
        self.network.store.commit(Unit(records=(record,)))


@pytest.mark.property
@settings(max_examples=examples(60), deadline=None)
@given(seed=st.integers())
def test_flows_notice_nothing_of_a_network_that_repeats_and_reorders(seed: int) -> None:
    flows: dict[str, Flow] = {"test.Initiator": busy, "test.Responder": obliging}
    network = Weather(flows, seed).run()
    x = "x" * 40
    outcomes = [[f"0{x}", f"1{x}"], ["session-error: not the third", "MORE"]]
    assert json.loads(network.alice().result) == outcomes
    statuses = sorted(b.status for b in network.bobs())
    assert statuses == ["COMPLETED", "COMPLETED", "FAILED"]
    assert network.store.scan("flow/") == []


@pytest.mark.property
@settings(max_examples=examples(40), deadline=None)
@given(seed=st.integers())
def test_effects_stand_once_whatever_the_network_does(seed: int) -> None:
    network = Weather(durable_flows.FLOWS, seed).run({"amount": 5})
    assert network.alice().result == durable_flows.RESULT
    assert [row["op"] for row in network.notes.rows] == ["persist", "merge", "persist"]
