"""Messages between flows of one cluster: delivered by the step that sends them, or by the mapper."""

from collections import Counter
from typing import Any

import pytest

from host.domain.quotas import Quota
from host.flow.core import messages
from host.flow.core.messages import (
    DEAD_LETTER_TOPIC,
    EVENT_TOPIC,
    IN_TOPIC,
    OUT_TOPIC,
    SessionMessage,
    decode_event,
)
from host.ports.quotas import Unmetered
from host.ports.state import StateWrite
from host.ports.units import Unit
from tests.flow.network import BOB, Flow, Network, Posted
from tests.flow.queues import BOBS, Remembering, waiting
from tests.flow.scripted import Guest

ROUNDS = 2


def ask(guest: Guest) -> str:
    session = guest.open(BOB)
    total = 0
    for number in range(ROUNDS):
        guest.send(session, number)
        total += guest.receive(session)
    return str(total)


def answer(guest: Guest) -> str:
    for _ in range(ROUNDS):
        guest.send(guest.session, guest.receive(guest.session) + 1)
    return ""


FLOWS: dict[str, Flow] = {"test.Initiator": ask, "test.Responder": answer}


class Counting(Remembering):
    """Counts the units of steps, and the queries before them."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.units: list[Unit] = []

    def commit(self, unit: Unit) -> None:
        self.units.append(unit)
        super().commit(unit)

    def take(self, *values: Any, **named: Any) -> Any:
        self.calls["take"] += 1
        return super().take(*values, **named)


def test_a_message_to_a_flow_of_this_cluster_needs_no_commit_of_its_own() -> None:
    store = Counting()
    network = Network(store, FLOWS)
    assert network.run().result == "3"
    topics = Counter(record.topic for record in store.published)
    # The start, 4 messages and the closing of the session by one side, each an event.
    assert topics == {EVENT_TOPIC: 1 + 2 * ROUNDS + 1}
    # Accepted; then Alice's steps and Bob's in turn, the last of Alice's when Bob has closed.
    assert len(store.units) <= 1 + 2 * ROUNDS + 2
    assert store.calls["take"] == len(store.units) - 1


def test_a_message_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[SessionMessage] = []
    encode = messages.encode

    def encoding(value: Any) -> bytes:
        if isinstance(value, SessionMessage):
            encoded.append(value)
        return encode(value)

    monkeypatch.setattr(messages, "encode", encoding)
    store = Counting()
    assert Network(store, FLOWS).run().result == "3"
    events = [decode_event(record.value) for record in store.published]
    assert len(encoded) == len(events) - 1  # the start is no message
    assert [e for e in events if isinstance(e, SessionMessage)] == encoded[1:]  # the first responds


def test_what_the_mapper_delivers_is_the_same() -> None:
    posted = Posted()
    network = Network(Counting(), FLOWS, routes=posted)
    posted.nodes = network.nodes
    network.start()
    while not network.alice().status.is_final:
        for queue in network.engine.ready():
            posted.is_carried = queue.topic in (OUT_TOPIC, IN_TOPIC)
            network.engine.process(queue)
    assert network.alice().result == "3"


class Narrow(Unmetered):
    def quota(self, node: str) -> Quota:
        return Quota(bus_bytes_max=1024 * 1024) if node == BOBS else super().quota(node)


def test_a_session_whose_message_has_no_room_follows_it_to_the_mapper() -> None:
    """So its messages keep their order, and the mapper alone refuses them."""

    def floods(guest: Guest) -> str:
        session = guest.open(BOB)
        payloads = ["x", "y" * 600_000, "z"]
        guest.call(
            "sessions",
            "send",
            messages=[{"session": session, "payload": payload} for payload in payloads],
        )
        return str(guest.receive(session))

    store = Counting()
    network = Network(store, {**FLOWS, "test.Initiator": floods}, quotas=Narrow())
    network.start()
    (queue,) = network.engine.ready()
    network.engine.process(queue)
    published = [record for unit in store.units for record in unit.records]
    delivered = [r for r in published if (r.topic, r.node) == (EVENT_TOPIC, BOBS)]
    left = [decode_event(r.value) for r in waiting(store, OUT_TOPIC)]
    assert len(delivered) == 3  # and two of three chunks
    assert [m.sequence for m in left if isinstance(m, SessionMessage)] == [4, 5]
    network.engine.drain()
    assert waiting(store, OUT_TOPIC) == []


def test_a_damaged_mapping_is_no_failure_of_the_step_that_sends() -> None:
    def asks(guest: Guest) -> str:
        session = guest.open(BOB)
        guest.send(session, 1)
        guest.receive(session)
        guest.call("flow", "sleep", millis=1_000)
        guest.send(session, 2)
        return "sent"

    store = Counting()
    network = Network(store, {**FLOWS, "test.Initiator": asks})
    network.run()
    (mapping,) = (s for s in store.scan("session/") if s.key.endswith("-INITIATED"))
    damaged = StateWrite(key=mapping.key, value=b"?", expected=mapping.version)
    store.commit(Unit(states=(damaged,)))
    network.later(1_000)
    for _ in range(8):
        network.later(16_000)
    assert len(store.newest(DEAD_LETTER_TOPIC, 9)) >= 1
    assert network.store.scan("aside/") == []
